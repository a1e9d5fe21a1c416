# What try, test and bench share. Sourced by bash, after: set -euo pipefail.
# root is the checkout; everything runs from there.

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
cd "$root"
started=$(date +%s%N)

# say TEXT: with the seconds since the start.
say() {
  local now
  now=$((($(date +%s%N) - started) / 100000000))
  printf '[%3d.%d s] %s\n' $((now / 10)) $((now % 10)) "$*"
}

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# install_packages [MORE...]: installs those of scripts/packages, and MORE, that are not installed, and says which.
install_packages() {
  local wanted missing as_root=()
  wanted=$(awk '!/^#/ && NF { print $1 }' scripts/packages; [ $# = 0 ] || printf '%s\n' "$@")
  # dpkg-query complains about names that it never heard of; those are missing too.
  missing=$(
    # shellcheck disable=SC2086
    dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
      awk -v wanted="$wanted" '
        $2 == "installed" { have[$1] = 1 }
        END { count = split(wanted, name, "\n"); for (i = 1; i <= count; i++) if (!have[name[i]]) print name[i] }'
  ) || true
  missing=$(echo $missing)
  [ -n "$missing" ] || return 0

  say "installing: $missing"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "needs root, or sudo, for: apt-get install --no-install-recommends $missing"
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -q -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update
  # shellcheck disable=SC2086
  "${apt[@]}" install --yes --no-install-recommends $missing >"${TMPDIR:-/tmp}/sluice-apt-$$.log" 2>&1 || {
    tail -n 30 "${TMPDIR:-/tmp}/sluice-apt-$$.log" >&2
    rm -f "${TMPDIR:-/tmp}/sluice-apt-$$.log"
    die "apt-get could not install them"
  }
  rm -f "${TMPDIR:-/tmp}/sluice-apt-$$.log"
  # Servers are for tests, which start their own: as a service of this machine none shall run that wasn't there before.
  local server
  for server in openssh-server=ssh lighttpd=lighttpd; do
    case " $missing " in
      *" ${server%=*} "*) [ ! -d /run/systemd/system ] || "${as_root[@]}" systemctl --quiet disable --now "${server#*=}" ;;
    esac
  done
}

# say_skipped LOG: what tests left out, and why, from ctest's log of a run. A test says it in lines of
# "SKIPPED: PART: WHY" (main() of tests/support/sluice_test.py, tests/support/skipped.h).
say_skipped() {
  awk '
    match($0, /^[0-9]+\/[0-9]+ Test: /) { test = substr($0, RLENGTH + 1) }
    sub(/^SKIPPED: /, "") { lines[++count] = "  " test ": " $0 }
    END {
      print count ? "left out here: " count : "nothing was left out"
      for (i = 1; i <= count; i++) print lines[i]
    }' "$1"
}

# build PRESET: configures when there is no build yet or the presets changed
# (of the rest ninja takes care), and builds all.
build() {
  local folder=build/$1
  if [ ! -f "$folder/build.ninja" ] || [ CMakePresets.json -nt "$folder/build.ninja" ]; then
    say "configuring $folder"
    mkdir -p "$folder"
    if ! cmake --preset "$1" >"$folder/configure.log" 2>&1; then
      cat "$folder/configure.log" >&2
      # Half a configuration must not pass for a whole one.
      rm -f "$folder/build.ninja"
      die "cmake failed"
    fi
    touch "$folder/build.ninja"
  fi
  say "building $folder"
  if [ -t 1 ]; then
    ninja -C "$folder"
  elif ! ninja -C "$folder" >"$folder/build.log" 2>&1; then
    # Not on a terminal: what went wrong, without the thousand lines of what went well.
    grep -v '^\[[0-9]*/[0-9]*\] ' "$folder/build.log" >&2 || cat "$folder/build.log" >&2
    die "ninja failed"
  fi
}

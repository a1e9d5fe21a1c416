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

# said_while LOG WHAT COMMAND...: runs it, with its output in LOG; every few seconds it is said how far that is. Its status is COMMAND's.
said_while() {
  local log=$1 what=$2 ticker status=0
  shift 2
  : >"$log"
  (while sleep 8; do say "$what: $(tail -c 2000 "$log" | tr '\r' '\n' | grep . | tail -n 1 | tr -cd '[:print:]' | cut -c -100)"; done) &
  ticker=$!
  "$@" >>"$log" 2>&1 || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  return "$status"
}

# with_apt LOG WHAT COMMAND...: as said_while; while another apt or dpkg is at work it waits, ten minutes at most.
with_apt() {
  local log=$1 tries=0
  until said_while "$@"; do
    grep -q -e 'Could not get lock' -e 'Unable to acquire' -e 'Unable to lock' "$log" || return 1
    tries=$((tries + 1))
    [ "$tries" -le 120 ] || return 1
    [ $((tries % 2)) = 0 ] || say "waits for another apt: $(grep -m 1 -e 'Could not get lock' -e 'Unable to' "$log" | cut -c -100)"
    sleep 5
  done
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
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q) log
  log=$(mktemp)
  # shellcheck disable=SC2086
  with_apt "$log" "apt-get update" "${apt[@]}" update &&
    with_apt "$log" "apt-get install" "${apt[@]}" install --yes --no-install-recommends $missing || {
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "apt-get could not install them"
  }
  rm -f "$log"
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
    if ! said_while "$folder/configure.log" "configuring $folder" cmake --preset "$1"; then
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
  elif ! said_while "$folder/build.log" "building $folder" ninja -C "$folder"; then
    # Not on a terminal: what went wrong, without the thousand lines of what went well.
    grep -v '^\[[0-9]*/[0-9]*\] ' "$folder/build.log" >&2 || cat "$folder/build.log" >&2
    die "ninja failed"
  fi
}

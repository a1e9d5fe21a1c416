# What `sluice runner start --ssh` runs on the other machine, as sh -c does: PROGRAM SESSION OPTIONS-OF-RUNNER-JOIN...
# Standard input has, in this order: this text, the join file as one line, and nothing more until the session's host is
# done with this runner; then it ends. A join file so never is on a command line, nor in a file here.
IFS= read -r join || exit 2
program=$1 session=$2
shift 2
command -v "$program" >/dev/null || {
  echo "there is no program $program" >&2
  exit 127
}

# Where the connection broke, the runner of the time before may go on, connected to the session by itself. It finishes
# what it builds and takes nothing more, or this machine would build twice as much as it was asked to.
started=${XDG_CACHE_HOME:-$HOME/.cache}/sluice/started
mkdir -p -m 700 "$started"
mine=$started/$session-$(uname -n)
if old=$(cat "$mine" 2>/dev/null) && tr '\0' ' ' <"/proc/$old/cmdline" 2>/dev/null | grep -q '^[^ ]*sluice'; then
  kill -TERM "$old"
fi

# The line by which the session's host knows that it was let in.
echo connected
# Standard input of what runs in the background is /dev/null, unless it is told otherwise.
exec 3<&0
printf '%s\n' "$join" | "$program" runner join /dev/stdin "$@" 3<&- &
runner=$!
echo "$runner" >"$mine"
{
  cat <&3 >/dev/null
  kill -TERM "$runner"
} >/dev/null 2>&1 &
watch=$!
exec 3<&-

# A signal interrupts the wait, and is for the runner.
trap 'kill -TERM "$runner" 2>/dev/null' TERM INT HUP
wait "$runner"
status=$?
while kill -0 "$runner" 2>/dev/null; do
  wait "$runner"
  status=$?
done
kill "$watch" 2>/dev/null
rm -f "$mine"
exit "$status"

#!/bin/sh
# The job that `sluice runner start --slurm` submits: one runner, which is the job's own process. Above this line is what
# it was started with ("$@": the program, then options of `runner join`), below the last one its join file. By hand:
#   { echo '#!/bin/sh'; echo 'set -- sluice'; cat join.sh runner.json; echo END_OF_JOIN_FILE; } | sbatch -t 2:00:00
program=$1
shift

# It leaves before Slurm ends the job: after nine tenths of the time that is left it takes no more builds, and has the last
# tenth (ten minutes at most) to finish those that run.
left=$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %L | awk -F '[-:]' '
  /^ *[0-9]+-/ { split($0, day, "-"); days = day[1]; sub(/^ *[0-9]+-/, "") }
  /^ *[0-9:]+ *$/ { n = split($0, part, ":"); for (i = 1; i <= n; i++) s = s * 60 + part[i]; print days * 86400 + s }')
if [ -n "$left" ]; then
  last=$((left / 10))
  [ "$last" -le 600 ] || last=600
  [ "$((left - last))" -lt 1 ] || set -- --lifetime "$((left - last))" "$@"
fi
# Half as many builds at once as the job has processors, as a runner does with a machine; what the user says comes later.
set -- --slots "$(((${SLURM_CPUS_ON_NODE:-1} + 1) / 2))" "$@"
exec "$program" runner join /dev/stdin --name "slurm-$SLURM_JOB_ID" "$@" <<'END_OF_JOIN_FILE'

#!/bin/bash
# Makes a data set of many entries from one of a few: multiply.sh DATABASE BASE TIMES [JOBS [FROM]]
#
#   DATABASE  as psql takes it: postgres://chiren@127.0.0.1:5432/chiren
#   BASE      patients that `chiren bench load` has put there: entries / per-patient
#   TIMES     how many times as much there shall be; copies 1 to TIMES - 1 are made
#   JOBS      copies at a time; 2
#   FROM      the first copy to make, to go on where an earlier run ended; 1
#
# The tables lose keys and indexes first and get them back in the end, whatever happens: ten million entries took 20
# minutes so, with `fsync` off meanwhile (switch it on again before anything is measured).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
database=$1 base=$2 times=$3 jobs=${4:-2} from=${5:-1}

ask() { psql "$database" -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

indexes() {
    echo "$(date +%T) keys and indexes"
    for number in 1 2; do
        ask "SELECT sql FROM bench_source.definition WHERE number = $number" |
            xargs -r -d '\n' -P "$jobs" -I{} psql "$database" -Xq -v ON_ERROR_STOP=1 \
                -c "SET maintenance_work_mem = '1GB'" -c "{}"
    done
}

echo "$(date +%T) source"
psql "$database" -Xq -v base="$base" -f source.sql
trap indexes EXIT
echo "$(date +%T) copies $from to $((times - 1)) of $base patients"
seq "$from" $((times - 1)) | xargs -r -P "$jobs" -I{} \
    sh -c 'psql "$0" -Xq -v base="$1" -v k={} -f multiply.sql >/dev/null && echo "$(date +%T) copy {}"' "$database" "$base"
trap - EXIT
indexes
echo "$(date +%T) vacuum"
ask "SET client_min_messages = warning; DROP SCHEMA bench_source CASCADE"
ask "VACUUM (ANALYZE)"
ask "CHECKPOINT" || echo "no CHECKPOINT: not a superuser"
echo "$(date +%T) done"

#!/bin/bash
# Makes a data set of many entries from one of a few: multiply.sh DATABASE BASE TIMES [JOBS [FROM]]
#
#   DATABASE  as psql takes it: postgres://chiren@127.0.0.1:5432/chiren
#   BASE      patients that `chiren bench load` has put there: entries / per-patient
#   TIMES     how many times as much there shall be; copies 1 to TIMES - 1 are made
#   JOBS      copies at a time; 2
#   FROM      the first copy to make, to go on where an earlier run ended; 1
#
# Secondary indexes are dropped first and made anew afterwards, which is several times faster than keeping them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
database=$1 base=$2 times=$3 jobs=${4:-2} from=${5:-1}

ask() { psql "$database" -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

tables="'object_id','unique_id','document_entry','document_code','association'"
made=$(ask "SELECT indexdef || ';' FROM pg_indexes i WHERE schemaname = current_schema() AND tablename IN ($tables)
    AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)")
ask "$(ask "SELECT 'DROP INDEX ' || indexname || ';' FROM pg_indexes i WHERE schemaname = current_schema()
    AND tablename IN ($tables) AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)")"
indexes() {
    echo "$(date +%T) indexes"
    ask "SET maintenance_work_mem = '1GB'; $made"
}
# Whatever happens, they come back.
trap indexes EXIT
echo "$(date +%T) copies $from to $((times - 1)) of $base patients"
seq "$from" $((times - 1)) | xargs -r -P "$jobs" -I{} \
    sh -c 'psql "$0" -Xq -v base="$1" -v k={} -f multiply.sql && echo "$(date +%T) copy {}"' "$database" "$base"
trap - EXIT
indexes
echo "$(date +%T) vacuum"
ask "VACUUM (ANALYZE)"
ask "CHECKPOINT" || echo "no CHECKPOINT: not a superuser"
echo "$(date +%T) done"

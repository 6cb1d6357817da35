#!/bin/bash
# Everything at one size, a row each: run.sh ENTRIES >> results.txt
#
#   CHIREN    the program; chiren
#   URL       the gateway; http://127.0.0.1:8080
#   DATABASE  its database; postgres://chiren@127.0.0.1:5432/chiren
#   CLIENTS   8;  SECONDS_EACH  20
#
# FindDocuments by SOAP and the same rows by pgbench come in turns, three times, and the ratio of their mean latencies
# is the last line. Switch audit.queries off for it: pgbench writes no audit record.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
entries=$1 chiren=${CHIREN:-chiren} url=${URL:-http://127.0.0.1:8080}
database=${DATABASE:-postgres://chiren@127.0.0.1:5432/chiren} clients=${CLIENTS:-8} seconds=${SECONDS_EACH:-20}
per_patient=25

# figure KEY: a number out of `chiren bench --json`.
figure() { sed -nE "s/.*\"$1\": *([0-9.]+).*/\1/p" | head -n 1; }

# row NAME ARGUMENTS…: one scenario.
row() {
    local name=$1 out
    shift
    out=$("$chiren" bench "$@" --url "$url" -c "$clients" -d "$seconds" --json) || true
    printf '%-34s %9s entries  %8.0f /s  p50 %8.2f ms  p99 %8.2f ms  wrong %s\n' "$name" "$entries" \
        "$(figure perSecond <<<"$out")" "$(awk "BEGIN{print $(figure p50 <<<"$out")/1000}")" \
        "$(awk "BEGIN{print $(figure p99 <<<"$out")/1000}")" "$(figure wrong <<<"$out")"
}

set_of=(--entries "$entries" --per-patient "$per_patient")
for query in FindDocuments GetAll GetDocuments FindDocumentsByReferenceId; do
    row "ITI-18 $query" iti18 --query "$query" "${set_of[@]}"
done
row "ITI-42 12 KB" iti42
row "ITI-57" iti57

soap=0 sql=0
for turn in 1 2 3; do
    ms=$("$chiren" bench iti18 "${set_of[@]}" --url "$url" -c "$clients" -d "$seconds" --json | figure mean)
    ms=$(awk "BEGIN{print $ms/1000}")
    plain=$(pgbench -n -M prepared -f find_documents.sql -D "patients=$((entries / per_patient))" -c "$clients" -j 1 \
        -T "$seconds" "$database" | sed -nE 's/^latency average = ([0-9.]+) ms.*/\1/p')
    printf 'turn %s: FindDocuments by SOAP %s ms, the same rows by SQL %s ms\n' "$turn" "$ms" "$plain"
    soap=$(awk "BEGIN{print $soap+$ms}") sql=$(awk "BEGIN{print $sql+$plain}")
done
awk "BEGIN{printf \"%s entries: FindDocuments takes %.2f times as long as plain SQL\n\", $entries, $soap/$sql}"

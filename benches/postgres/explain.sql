-- Plans of the main statements, as the registry prepares them: psql "$DATABASE" -X -v n=1234 -f explain.sql
-- n: a patient of data set 1. Each is executed six times before, so that PostgreSQL has settled on its plan.
\set ON_ERROR_STOP on
\set pid 'BENCH-1-' :n '^^^&2.999.392.1.1&ISO'
\set stem '2.999.392.1.7.1.' :n '.'
\set order 'ORDER-' :n '-0^^^&2.999.392.1.7&ISO^urn:ihe:iti:xds:2013:order'
SELECT patient_key AS key, (SELECT id FROM document_entry d WHERE d.patient_key = p.patient_key LIMIT 1) AS id
    FROM patient p WHERE pid = :'pid' \gset

PREPARE find_documents (TEXT, BIGINT, BIGINT, BIGINT) AS
SELECT d.patient_key, d.id, d.creation_time, d.body, d.status, d.version FROM document_entry d WHERE d.patient_key = (SELECT p.patient_key FROM patient p WHERE p.pid = $1) AND d.status IN ($2) AND d.entry_type IN ($3) LIMIT $4;
PREPARE find_by_reference (TEXT, BIGINT, BIGINT, TEXT, BIGINT) AS
SELECT d.patient_key, d.id, d.creation_time, d.body, d.status, d.version FROM document_entry d WHERE d.patient_key = (SELECT p.patient_key FROM patient p WHERE p.pid = $1) AND d.status IN ($2) AND d.entry_type IN ($3) AND EXISTS (SELECT 1 FROM document_code c WHERE c.patient_key = d.patient_key AND c.entry_id = d.id AND c.attribute = 3 AND c.code IN ($4)) LIMIT $5;
PREPARE get_documents (TEXT, TEXT, BIGINT) AS
SELECT d.patient_key, d.id, d.creation_time, d.body, d.status, d.version FROM document_entry d WHERE d.unique_id IN ($1,$2) AND d.status <> 3 AND d.entry_type <= 2 LIMIT $3;
PREPARE get_all_sets (TEXT, BIGINT, BIGINT) AS
SELECT s.patient_key, s.id, s.submission_time, s.body, s.status FROM submission_set s WHERE s.patient_key = (SELECT p.patient_key FROM patient p WHERE p.pid = $1) AND s.status IN ($2) LIMIT $3;
PREPARE get_all_associations (TEXT) AS
SELECT a.patient_key, a.id, a.registered_at, a.body, a.status, a.source_id, a.target_id FROM (SELECT h.patient_key, h.id FROM association h WHERE h.patient_key = (SELECT p.patient_key FROM patient p WHERE p.pid = $1)) k CROSS JOIN association a WHERE a.patient_key = k.patient_key AND a.id = k.id AND a.status = 1;
PREPARE last_change (BIGINT) AS
SELECT seq, at, hash FROM change WHERE patient_key = $1 ORDER BY seq DESC LIMIT 1;
PREPARE lineage (TEXT) AS
SELECT d.patient_key, d.id, d.creation_time, d.body, d.status, d.version FROM document_entry d WHERE d.lid = $1 ORDER BY d.version DESC LIMIT 1;
PREPARE around (BIGINT, TEXT) AS
SELECT a.patient_key, a.id, a.registered_at, a.body, a.status, o.id, o.kind, o.patient_key, COALESCE(d.status, f.status, 1) FROM association a JOIN object_id o ON o.id = a.source_id LEFT JOIN document_entry d ON d.patient_key = o.patient_key AND d.id = o.id LEFT JOIN folder f ON f.patient_key = o.patient_key AND f.id = o.id WHERE a.patient_key = $1 AND a.target_id = $2;

SELECT format('%s', statement) FROM (VALUES
    (1, format('find_documents(%L, 1, 1, 10001)', :'pid')),
    (2, format('find_by_reference(%L, 1, 1, %L, 10001)', :'pid', :'order')),
    (3, format('get_documents(%L, %L, 10001)', :'stem' || '1', :'stem' || '2')),
    (4, format('get_all_sets(%L, 1, 10001)', :'pid')),
    (5, format('get_all_associations(%L)', :'pid')),
    (6, format('last_change(%L)', :'key')),
    (7, format('lineage(%L)', :'id')),
    (8, format('around(%L, %L)', :'key', :'id'))
) AS main (number, statement) ORDER BY number \g (tuples_only=on format=unaligned) /tmp/chiren-bench-statements
\o /dev/null
\! for n in 1 2 3 4 5 6; do sed 's/^/EXECUTE /; s/$/;/' /tmp/chiren-bench-statements; done > /tmp/chiren-bench-warm.sql
\i /tmp/chiren-bench-warm.sql
\o
\! sed 's/.*/\\echo\n\\echo &\nEXPLAIN (ANALYZE, BUFFERS, COSTS OFF) EXECUTE &;/' /tmp/chiren-bench-statements > /tmp/chiren-bench-explain.sql
\t on
\i /tmp/chiren-bench-explain.sql
\! rm -f /tmp/chiren-bench-statements /tmp/chiren-bench-warm.sql /tmp/chiren-bench-explain.sql

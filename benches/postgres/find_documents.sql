-- FindDocuments as the registry issues it, by pgbench: pgbench -M prepared -D patients=N -f find_documents.sql
\set n random(0, :patients - 1)
SELECT d.patient_key, d.id, d.creation_time, d.body, d.status, d.version FROM document_entry d WHERE d.patient_key = (SELECT p.patient_key FROM patient p WHERE p.pid = 'BENCH-1-' || :n || '^^^&2.999.392.1.1&ISO') AND d.status IN (1) AND d.entry_type IN (1) LIMIT 10001;

-- The rows that are multiplied, apart; and keys and indexes away: psql "$DATABASE" -v base=4000 -f source.sql
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;
DROP SCHEMA IF EXISTS bench_source CASCADE;
CREATE SCHEMA bench_source;
CREATE TABLE bench_source.patient AS
    SELECT * FROM patient WHERE substring(pid FROM '^BENCH-1-([0-9]+)\^')::BIGINT < :base;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['document_entry', 'document_code', 'document_author', 'submission_set',
        'submission_author', 'association', 'change']
    LOOP
        EXECUTE format('CREATE TABLE bench_source.%I AS SELECT t.* FROM %I t JOIN bench_source.patient USING (patient_key)', t, t);
    END LOOP;
END $$;
CREATE TABLE bench_source.audit_event AS
    SELECT * FROM audit_event
    WHERE transaction_code = 'ITI-42' AND outcome = 0
        AND body::JSON->'patients'->>0 IN (SELECT pid FROM bench_source.patient);

-- Keys and indexes go while copies are made, and come back by these.
CREATE TABLE bench_source.definition (number INT, sql TEXT);
DO $$
DECLARE r record;
BEGIN
    FOR r IN
        SELECT conname, conrelid::REGCLASS::TEXT AS of, pg_get_constraintdef(c.oid) AS def FROM pg_constraint c
        JOIN pg_class t ON t.oid = conrelid
        WHERE contype IN ('p', 'u') AND connamespace = 'public'::REGNAMESPACE AND (t.relname IN ('object_id', 'unique_id')
            OR EXISTS (SELECT 1 FROM pg_class s WHERE s.relnamespace = 'bench_source'::REGNAMESPACE AND s.relname = t.relname))
    LOOP
        INSERT INTO bench_source.definition
            VALUES (1, format('ALTER TABLE %s ADD CONSTRAINT %I %s', r.of, r.conname, r.def));
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.of, r.conname);
    END LOOP;
    FOR r IN
        SELECT indexname, indexdef FROM pg_indexes i
        WHERE schemaname = 'public' AND (tablename IN ('object_id', 'unique_id')
            OR EXISTS (SELECT 1 FROM pg_tables s WHERE s.schemaname = 'bench_source' AND s.tablename = i.tablename))
    LOOP
        INSERT INTO bench_source.definition VALUES (2, r.indexdef);
        EXECUTE format('DROP INDEX %I', r.indexname);
    END LOOP;
END $$;
ANALYZE bench_source.patient, bench_source.document_entry, bench_source.association, bench_source.audit_event;
COMMIT;

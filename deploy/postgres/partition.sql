-- Partitions the registry's tables by patient, in place, in 16 parts or as many as are said:
--
--     psql URL -v ON_ERROR_STOP=1 -c 'SET chiren.parts = 32' -f partition.sql
--
-- Run it as the user the gateway connects as, with every gateway stopped and room for a second copy of the largest
-- table. It is one transaction: interrupted, it leaves all as it was. The program's statements stay as they are: each
-- names the patient's key, or asks an index by an identifier.
--
-- Patient-scoped tables are split by hash of patient_key, so all of a patient's rows lie in partitions of one number.
-- object_id and unique_id arbitrate between patients and are split by hash of their own key. The tables `patient` (two
-- unique keys), `repository_document` and the small ones stay whole.
BEGIN;
SET LOCAL client_min_messages = warning;

DO $$
DECLARE
    parts int := coalesce(nullif(current_setting('chiren.parts', true), ''), '16')::int;
    t record;
    v record;
    views text[] := '{}';
    view text;
    i int;
BEGIN
    IF parts < 2 OR parts > 1024 THEN
        RAISE EXCEPTION 'chiren.parts is %, a number from 2 to 1024 is meant', parts;
    END IF;
    -- Views hold on to the tables they were made over: laid aside, and made again over the new ones.
    FOR v IN SELECT viewname, definition FROM pg_views WHERE schemaname = current_schema() LOOP
        views := views || format('CREATE VIEW %I AS %s', v.viewname, v.definition);
        EXECUTE format('DROP VIEW %I', v.viewname);
    END LOOP;
    FOR t IN
        SELECT c.relname AS name,
            CASE c.relname WHEN 'object_id' THEN 'id' WHEN 'unique_id' THEN 'unique_id' ELSE 'patient_key' END AS key
        FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
          AND (c.relname IN ('object_id', 'unique_id')
               -- The patient's tables: patient_key leads the primary key, with more behind it.
               OR EXISTS (
                   SELECT 1 FROM pg_index x JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
                   WHERE x.indrelid = c.oid AND x.indisprimary AND x.indnatts > 1 AND a.attname = 'patient_key'))
        ORDER BY c.relname
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', t.name, t.name || '__whole');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION) PARTITION BY HASH (%I)',
            t.name, t.name || '__whole', t.key);
        FOR i IN 0 .. parts - 1 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                t.name || '_p' || i, t.name, parts, i);
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', t.name, t.name || '__whole');
        -- Keys and indexes as they were, built over rows that are there already.
        FOR v IN
            SELECT conname, pg_get_constraintdef(oid) AS def FROM pg_constraint
            WHERE conrelid = format('%I', t.name || '__whole')::regclass AND contype = 'p'
        LOOP
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', t.name || '__whole', v.conname);
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I %s', t.name, v.conname, v.def);
        END LOOP;
        FOR v IN
            SELECT indexname, indexdef FROM pg_indexes
            WHERE schemaname = current_schema() AND tablename = t.name || '__whole'
        LOOP
            EXECUTE format('DROP INDEX %I', v.indexname);
            EXECUTE replace(v.indexdef, t.name || '__whole', t.name);
        END LOOP;
        EXECUTE format('DROP TABLE %I', t.name || '__whole');
        -- The parts are analyzed by themselves in time, the whole never is.
        EXECUTE format('ANALYZE %I', t.name);
    END LOOP;
    FOREACH view IN ARRAY views LOOP
        EXECUTE view;
    END LOOP;
END $$;
COMMIT;

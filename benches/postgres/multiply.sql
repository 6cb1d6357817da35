-- Copies the patients 0 to :base - 1 of data set 1 (`chiren bench load`) once, as the patients :k * :base and on:
-- every row the load has made, under other keys, entryUUIDs, uniqueIds and patient ids, in columns and bodies alike.
-- What `chiren bench iti18` asks of a data set of that size is then there, at the speed of SQL. The rows are read
-- from the schema `bench_source`, where `multiply.sh` has put them, since the tables have no keys meanwhile.
--
--     psql "$DATABASE" -v base=4000 -v k=1 -f multiply.sql        -- k: 1 to 65535, each once
--
-- For measuring only: the hash chains of copied patients are not theirs, and `chiren verify` says so.

\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET work_mem = '256MB';
BEGIN;
SET LOCAL search_path = bench_source, public;

-- A UUID of the load is of version 7; a copy's is of version 8 with k inside, so that no two are the same.
CREATE OR REPLACE FUNCTION pg_temp.urn(id TEXT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
    $$ SELECT overlay(overlay(id PLACING '8' FROM 24) PLACING lpad(to_hex(current_setting('copy.k')::INT), 4, '0') FROM 34) $$;
CREATE OR REPLACE FUNCTION pg_temp.bare(id TEXT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
    $$ SELECT overlay(overlay(id PLACING '8' FROM 15) PLACING lpad(to_hex(current_setting('copy.k')::INT), 4, '0') FROM 25) $$;
-- Everywhere in a text.
CREATE OR REPLACE FUNCTION pg_temp.every(text TEXT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
    $$ SELECT regexp_replace(text, '([0-9a-f]{8}-[0-9a-f]{4}-)7([0-9a-f]{3}-[0-9a-f]{4}-)[0-9a-f]{4}([0-9a-f]{8})',
        '\18\2' || lpad(to_hex(current_setting('copy.k')::INT), 4, '0') || '\3', 'g') $$;
SELECT set_config('copy.k', :'k', true) \g /dev/null

-- Each patient with its copy, and the texts that name it.
CREATE TEMPORARY TABLE pair ON COMMIT DROP AS
    SELECT patient_key AS old_key,
        -- 60 bits that depend on k alone: different patients stay different.
        patient_key # ('x' || substr(md5('chiren' || :k), 1, 15))::BIT(60)::BIGINT AS new_key,
        'BENCH-1-' || n || '^' AS old_pid, 'BENCH-1-' || n + :k * :base || '^' AS new_pid,
        '2.999.392.1.7.1.' || n || '.' AS old_stem, '2.999.392.1.7.1.' || n + :k * :base || '.' AS new_stem,
        'ORDER-' || n || '-' AS old_order, 'ORDER-' || n + :k * :base || '-' AS new_order
    FROM (SELECT patient_key, substring(pid FROM '^BENCH-1-([0-9]+)\^')::BIGINT AS n FROM patient
        WHERE pid LIKE 'BENCH-1-%') p
    WHERE n < :base;
CREATE UNIQUE INDEX ON pair (old_key);
ANALYZE pair;

INSERT INTO public.patient (patient_key, pid, authority, status, body, created_at)
    SELECT new_key, replace(pid, old_pid, new_pid), authority, status, replace(body, old_pid, new_pid), created_at
    FROM patient JOIN pair ON patient_key = old_key;

INSERT INTO public.document_entry (patient_key, id, lid, version, status, entry_type, unique_id, repository_unique_id, hash,
        size, class_code, type_code, practice_setting_code, facility_type_code, format_code, creation_time,
        service_start_time, service_stop_time, registered_at, body)
    SELECT new_key, pg_temp.urn(id), pg_temp.urn(lid), version, status, entry_type,
        replace(unique_id, old_stem, new_stem), repository_unique_id, hash, size, class_code, type_code,
        practice_setting_code, facility_type_code, format_code, creation_time, service_start_time,
        service_stop_time, registered_at,
        replace(replace(replace(replace(replace(body, id, pg_temp.urn(id)), lid, pg_temp.urn(lid)),
            old_pid, new_pid), old_stem, new_stem), old_order, new_order)
    FROM document_entry JOIN pair ON patient_key = old_key;

INSERT INTO public.document_code (patient_key, entry_id, attribute, code)
    SELECT new_key, pg_temp.urn(entry_id), attribute, replace(code, old_order, new_order)
    FROM document_code JOIN pair ON patient_key = old_key;

INSERT INTO public.document_author (patient_key, entry_id, person)
    SELECT new_key, pg_temp.urn(entry_id), person FROM document_author JOIN pair ON patient_key = old_key;

INSERT INTO public.submission_set (patient_key, id, status, unique_id, source_id, content_type_code, submission_time,
        registered_at, body)
    SELECT new_key, pg_temp.urn(id), status, replace(unique_id, old_stem, new_stem), source_id, content_type_code,
        submission_time, registered_at,
        replace(replace(replace(body, id, pg_temp.urn(id)), old_pid, new_pid), old_stem, new_stem)
    FROM submission_set JOIN pair ON patient_key = old_key;

INSERT INTO public.submission_author (patient_key, submission_id, person)
    SELECT new_key, pg_temp.urn(submission_id), person FROM submission_author JOIN pair ON patient_key = old_key;

INSERT INTO public.association (patient_key, id, assoc_type, source_id, target_id, status, registered_at, body)
    SELECT new_key, pg_temp.urn(id), assoc_type, pg_temp.urn(source_id), pg_temp.urn(target_id), status,
        registered_at,
        replace(replace(replace(body, id, pg_temp.urn(id)), source_id, pg_temp.urn(source_id)), target_id,
            pg_temp.urn(target_id))
    FROM association JOIN pair ON patient_key = old_key;

INSERT INTO public.change (patient_key, seq, at, transaction_code, request_id, caller, submission_set, reason, contents, hash)
    SELECT new_key, seq, at, transaction_code, request_id, caller, pg_temp.urn(submission_set), reason,
        pg_temp.every(contents), hash
    FROM change JOIN pair ON patient_key = old_key;

INSERT INTO public.object_id (id, kind, patient_key)
    SELECT pg_temp.urn(id), 1, new_key FROM document_entry JOIN pair ON patient_key = old_key
    UNION ALL SELECT pg_temp.urn(id), 2, new_key FROM submission_set JOIN pair ON patient_key = old_key
    UNION ALL SELECT pg_temp.urn(id), 4, new_key FROM association JOIN pair ON patient_key = old_key;

INSERT INTO public.unique_id (unique_id, kind, patient_key, id, hash, size)
    SELECT replace(unique_id, old_stem, new_stem), 1, new_key, pg_temp.urn(id), hash, size
        FROM document_entry JOIN pair ON patient_key = old_key
    UNION ALL SELECT replace(unique_id, old_stem, new_stem), 2, new_key, pg_temp.urn(id), NULL, NULL
        FROM submission_set JOIN pair ON patient_key = old_key;

-- The audit record of each submission, found by its patient.
INSERT INTO public.audit_event (id, at, transaction_code, outcome, body)
    SELECT pg_temp.bare(id), at, transaction_code, outcome,
        replace(replace(pg_temp.every(body), old_pid, new_pid), old_stem, new_stem)
    FROM audit_event JOIN pair ON old_pid = split_part(body::JSON->'patients'->>0, '^', 1) || '^'
    WHERE transaction_code = 'ITI-42' AND outcome = 0 AND substr(id, 15, 1) = '7';

COMMIT;

-- History: nothing is overwritten. SQLite; the same tables as migrations/postgres/0002_history.sql.
--
-- The tables of 0001 keep the current state, and queries read nothing else. Before a row is changed or
-- removed, it is copied to the _past table of its kind with the instant its state ended. Of an object
-- only status, lastUpdateTime and presence change: codes and authors are an entryUUID's for ever, and
-- their rows stay where they are.

-- One row for each transaction that changed a patient's registry, chained by hash within the patient:
-- the partition key, so that writers of different patients never meet.
CREATE TABLE change (
    patient_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,                      -- 1, 2, 3 … of the patient
    at INTEGER NOT NULL,                       -- grows with seq
    transaction_code TEXT NOT NULL,
    request_id TEXT NOT NULL,               -- as in the audit record
    caller TEXT NOT NULL,                   -- JSON: who
    submission_set TEXT,                    -- entryUUID: why
    reason TEXT,                            -- an operator's words: why
    contents TEXT NOT NULL,                 -- JSON: [kind, id, operation, SHA-256 of the resulting state] of each object
    hash TEXT NOT NULL,                     -- SHA-256 over the hash before and this row
    PRIMARY KEY (patient_key, seq)
) STRICT;

CREATE TABLE document_entry_past (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    lid TEXT NOT NULL,
    version INTEGER NOT NULL,
    status INTEGER NOT NULL,
    entry_type INTEGER NOT NULL,
    unique_id TEXT NOT NULL,
    repository_unique_id TEXT NOT NULL,
    hash TEXT,
    size INTEGER,
    class_code TEXT NOT NULL,
    type_code TEXT NOT NULL,
    practice_setting_code TEXT NOT NULL,
    facility_type_code TEXT NOT NULL,
    format_code TEXT NOT NULL,
    creation_time TEXT,
    service_start_time TEXT,
    service_stop_time TEXT,
    registered_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    valid_to INTEGER NOT NULL,
    ended_by INTEGER NOT NULL,                 -- change.seq
    PRIMARY KEY (patient_key, id, valid_to)
) STRICT;
CREATE INDEX document_entry_past_unique_id ON document_entry_past (unique_id);
CREATE INDEX document_entry_past_lid ON document_entry_past (lid);
CREATE INDEX document_entry_past_class ON document_entry_past (class_code);
CREATE INDEX document_entry_past_facility ON document_entry_past (facility_type_code);

CREATE TABLE submission_set_past (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    status INTEGER NOT NULL,
    unique_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    content_type_code TEXT NOT NULL,
    submission_time TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    valid_to INTEGER NOT NULL,
    ended_by INTEGER NOT NULL,                 -- change.seq
    PRIMARY KEY (patient_key, id, valid_to)
) STRICT;
CREATE INDEX submission_set_past_unique_id ON submission_set_past (unique_id);

CREATE TABLE folder_past (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    lid TEXT NOT NULL,
    version INTEGER NOT NULL,
    status INTEGER NOT NULL,
    unique_id TEXT NOT NULL,
    last_update_time TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    valid_to INTEGER NOT NULL,
    ended_by INTEGER NOT NULL,                 -- change.seq
    PRIMARY KEY (patient_key, id, valid_to)
) STRICT;
CREATE INDEX folder_past_unique_id ON folder_past (unique_id);
CREATE INDEX folder_past_lid ON folder_past (lid);

CREATE TABLE association_past (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    assoc_type TEXT NOT NULL,
    source_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    registered_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    valid_to INTEGER NOT NULL,
    ended_by INTEGER NOT NULL,                 -- change.seq
    PRIMARY KEY (patient_key, id, valid_to)
) STRICT;
CREATE INDEX association_past_source ON association_past (patient_key, source_id);
CREATE INDEX association_past_target ON association_past (patient_key, target_id);

-- An entryUUID stays taken when its object is removed: its history goes on under it.
ALTER TABLE object_id ADD COLUMN removed_at INTEGER;

-- Every state there ever was, for questions about a moment. Without conditions inside, so that both
-- engines look into the tables by their indexes.
CREATE VIEW document_entry_states AS
    SELECT patient_key, id, lid, version, status, entry_type, unique_id, repository_unique_id, hash, size,
        class_code, type_code, practice_setting_code, facility_type_code, format_code, creation_time,
        service_start_time, service_stop_time, registered_at, body, CAST(9223372036854775807 AS BIGINT) AS valid_to FROM
        document_entry
    UNION ALL
    SELECT patient_key, id, lid, version, status, entry_type, unique_id, repository_unique_id, hash, size,
        class_code, type_code, practice_setting_code, facility_type_code, format_code, creation_time,
        service_start_time, service_stop_time, registered_at, body, valid_to FROM document_entry_past;
CREATE VIEW submission_set_states AS
    SELECT patient_key, id, status, unique_id, source_id, content_type_code, submission_time, registered_at,
        body, CAST(9223372036854775807 AS BIGINT) AS valid_to FROM submission_set
    UNION ALL
    SELECT patient_key, id, status, unique_id, source_id, content_type_code, submission_time, registered_at,
        body, valid_to FROM submission_set_past;
CREATE VIEW folder_states AS
    SELECT patient_key, id, lid, version, status, unique_id, last_update_time, registered_at, body,
        CAST(9223372036854775807 AS BIGINT) AS valid_to FROM folder
    UNION ALL
    SELECT patient_key, id, lid, version, status, unique_id, last_update_time, registered_at, body, valid_to
        FROM folder_past;
CREATE VIEW association_states AS
    SELECT patient_key, id, assoc_type, source_id, target_id, status, registered_at, body,
        CAST(9223372036854775807 AS BIGINT) AS valid_to FROM association
    UNION ALL
    SELECT patient_key, id, assoc_type, source_id, target_id, status, registered_at, body, valid_to FROM
        association_past;
-- Who has and had a uniqueId: one that was released by a removal may be another object's today.
CREATE VIEW unique_id_states AS
    SELECT unique_id, kind, patient_key, id FROM unique_id
    UNION SELECT unique_id, 2, patient_key, id FROM submission_set_past
    UNION SELECT unique_id, 3, patient_key, id FROM folder_past;

-- Frozen like those of 0001.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('change', 'sqlite_autoindex_change_1', '1000000 25 1'),
    ('document_entry_past', 'sqlite_autoindex_document_entry_past_1', '1000000 25 2 1'),
    ('document_entry_past', 'document_entry_past_unique_id', '1000000 2'),
    ('document_entry_past', 'document_entry_past_lid', '1000000 2'),
    ('document_entry_past', 'document_entry_past_class', '1000000 50000'),
    ('document_entry_past', 'document_entry_past_facility', '1000000 50000'),
    ('submission_set_past', 'sqlite_autoindex_submission_set_past_1', '1000000 25 2 1'),
    ('submission_set_past', 'submission_set_past_unique_id', '1000000 2'),
    ('folder_past', 'sqlite_autoindex_folder_past_1', '1000000 25 8 1'),
    ('folder_past', 'folder_past_unique_id', '1000000 8'),
    ('folder_past', 'folder_past_lid', '1000000 8'),
    ('association_past', 'sqlite_autoindex_association_past_1', '1000000 25 2 1'),
    ('association_past', 'association_past_source', '1000000 25 2'),
    ('association_past', 'association_past_target', '1000000 25 2');

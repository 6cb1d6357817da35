-- The registry, the repository's index, the audit trail and the outbox. SQLite.
-- The same tables and columns as migrations/postgres/0001_registry.sql; a test compares them.
--
-- Types: TEXT; INTEGER for numbers, booleans, enums and instants (microseconds since 1970); STRICT so
-- that a value of the wrong type fails here as it does on PostgreSQL. Times from metadata are DTM text
-- padded to YYYYMMDDhhmmss, so they compare as text. Coded values are stored as 'code^^scheme'.
--
-- Patient-scoped tables begin with patient_key in primary key and patient indexes. patient_key is given by
-- the application (no sequences), ids too. There are no foreign keys and no triggers: the service
-- writes whole submissions in one transaction, and tables stay distributable by patient.
--
-- Layout: tables with a body are rowid tables, so rows are appended; narrow tables are WITHOUT
-- ROWID, one tree instead of two. A registration (SubmissionSet, DocumentEntry, HasMember, audit)
-- inserts into 23 trees and that is most of its cost, so every index here answers a query we have.
-- Pages are 8 KiB: with bodies of 2 KB the file is a fifth smaller than with 4 KiB and a patient's
-- entries are read no slower, at the same cost of writing (measured with 200,000 entries).

-- A patient known to the registry.
CREATE TABLE patient (
    patient_key INTEGER NOT NULL PRIMARY KEY,
    pid TEXT NOT NULL UNIQUE,              -- CX as in sourcePatientId: id^^^&oid&ISO
    authority TEXT NOT NULL,               -- the oid
    status INTEGER NOT NULL,                 -- 1 known, 2 implied by a submission
    body TEXT NOT NULL,                     -- JSON
    created_at INTEGER NOT NULL
) STRICT;

-- Every entryUUID with its patient: uniqueness across patients, and the way from a UUID to a patient.
CREATE TABLE object_id (
    id TEXT NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,                   -- 1 DocumentEntry, 2 SubmissionSet, 3 Folder, 4 Association
    patient_key INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every uniqueId, the arbiter when two submissions bring the same one. Points at the first object that
-- used it: for SubmissionSets and Folders, whose uniqueIds never repeat, this is the look-up.
CREATE TABLE unique_id (
    unique_id TEXT NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    hash TEXT,                             -- of a DocumentEntry, to tell a repeat from a contradiction
    size INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE document_entry (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    lid TEXT NOT NULL,
    version INTEGER NOT NULL,
    status INTEGER NOT NULL,                 -- 1 Approved, 2 Deprecated
    entry_type INTEGER NOT NULL,             -- 1 stable, 2 on-demand
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
    body TEXT NOT NULL,                     -- JSON, the whole object
    PRIMARY KEY (patient_key, id)
) STRICT;
CREATE INDEX document_entry_time ON document_entry (patient_key, status, creation_time);
CREATE INDEX document_entry_unique_id ON document_entry (unique_id);
CREATE INDEX document_entry_lid ON document_entry (lid);
-- For queries over several or all patients (ITI-51), which must name a class, a facility type or an event.
CREATE INDEX document_entry_class ON document_entry (class_code);
CREATE INDEX document_entry_facility ON document_entry (facility_type_code);

CREATE TABLE document_code (
    patient_key INTEGER NOT NULL,
    entry_id TEXT NOT NULL,
    attribute INTEGER NOT NULL,              -- 1 eventCodeList, 2 confidentialityCode, 3 referenceIdList
    code TEXT NOT NULL,
    PRIMARY KEY (patient_key, entry_id, attribute, code)
) STRICT, WITHOUT ROWID;
-- Events only: nobody asks all patients for a confidentiality code. The query must say "attribute = 1".
CREATE INDEX document_code_event ON document_code (code) WHERE attribute = 1;

CREATE TABLE document_author (
    patient_key INTEGER NOT NULL,
    entry_id TEXT NOT NULL,
    person TEXT NOT NULL,                  -- XCN
    PRIMARY KEY (patient_key, entry_id, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE submission_set (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    status INTEGER NOT NULL,
    unique_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    content_type_code TEXT NOT NULL,
    submission_time TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (patient_key, id)
) STRICT;

CREATE TABLE submission_author (
    patient_key INTEGER NOT NULL,
    submission_id TEXT NOT NULL,
    person TEXT NOT NULL,
    PRIMARY KEY (patient_key, submission_id, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE folder (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    lid TEXT NOT NULL,
    version INTEGER NOT NULL,
    status INTEGER NOT NULL,
    unique_id TEXT NOT NULL,
    last_update_time TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (patient_key, id)
) STRICT;
CREATE INDEX folder_lid ON folder (lid);

CREATE TABLE folder_code (
    patient_key INTEGER NOT NULL,
    folder_id TEXT NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (patient_key, folder_id, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX folder_code_code ON folder_code (code);

CREATE TABLE association (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    assoc_type TEXT NOT NULL,
    source_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    registered_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (patient_key, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX association_source ON association (patient_key, source_id);
CREATE INDEX association_target ON association (patient_key, target_id);

-- Documents at rest, by content.
CREATE TABLE blob (
    key TEXT NOT NULL PRIMARY KEY,         -- SHA-256, hex
    size INTEGER NOT NULL,
    sha1 TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What this repository answers ITI-43 with.
CREATE TABLE repository_document (
    unique_id TEXT NOT NULL PRIMARY KEY,
    blob_key TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    hash TEXT NOT NULL,                    -- SHA-1, hex, as in the metadata
    patient_pid TEXT NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- For the sweeper: is this blob still used?
CREATE INDEX repository_document_blob ON repository_document (blob_key);

-- Append-only. Ids are UUIDv7, so a span of time is a span of ids and needs no index of its own.
CREATE TABLE audit_event (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    transaction_code TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- Effects still to happen, in order within a stream.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    stream TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    lease_until INTEGER NOT NULL             -- 0 when nobody works on it
) STRICT;
CREATE INDEX outbox_stream ON outbox (stream, id);
CREATE INDEX outbox_due ON outbox (not_before);

-- Frozen statistics. Without any, SQLite thinks an index on a class code as selective as one on a
-- patient; these make every plan that knows the patient begin with the patient, for ever and on every
-- site. (Rows in the table, then rows for each value of the index's leading columns.) Read when a connection opens.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('document_entry', 'sqlite_autoindex_document_entry_1', '1000000 25 1'),
    ('document_entry', 'document_entry_time', '1000000 25 20 1'),
    ('document_entry', 'document_entry_unique_id', '1000000 1'),
    ('document_entry', 'document_entry_lid', '1000000 1'),
    ('document_entry', 'document_entry_class', '1000000 50000'),
    ('document_entry', 'document_entry_facility', '1000000 50000'),
    ('document_code', 'document_code', '3000000 75 3 2 1'),
    ('document_code', 'document_code_event', '1000000 10000'),
    ('document_author', 'document_author', '1000000 25 1 1'),
    ('submission_set', 'sqlite_autoindex_submission_set_1', '1000000 25 1'),
    ('submission_author', 'submission_author', '1000000 25 1 1'),
    ('folder', 'sqlite_autoindex_folder_1', '100000 3 1'),
    ('folder', 'folder_lid', '100000 1'),
    ('folder_code', 'folder_code', '100000 3 1 1'),
    ('folder_code', 'folder_code_code', '100000 1000'),
    ('association', 'association', '1000000 25 1'),
    ('association', 'association_source', '1000000 25 1'),
    ('association', 'association_target', '1000000 25 1');

-- The registry, the repository's index, the audit trail and the outbox. PostgreSQL.
-- The same tables and columns as migrations/sqlite/0001_registry.sql, where the reasons stand; a
-- test compares them. Keys and compared text are COLLATE "C": byte order, as in SQLite, whatever
-- the database's locale.

-- A patient known to the registry.
CREATE TABLE patient (
    patient_key BIGINT NOT NULL PRIMARY KEY,
    pid TEXT COLLATE "C" NOT NULL UNIQUE,              -- CX as in sourcePatientId: id^^^&oid&ISO
    authority TEXT COLLATE "C" NOT NULL,               -- the oid
    status BIGINT NOT NULL,                 -- 1 known, 2 implied by a submission
    body TEXT NOT NULL,                     -- JSON
    created_at BIGINT NOT NULL
);

-- Every entryUUID with its patient: uniqueness across patients, and the way from a UUID to a patient.
CREATE TABLE object_id (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,                   -- 1 DocumentEntry, 2 SubmissionSet, 3 Folder, 4 Association
    patient_key BIGINT NOT NULL
);

-- Every uniqueId, the arbiter when two submissions bring the same one. Points at the first object that
-- used it: for SubmissionSets and Folders, whose uniqueIds never repeat, this is the look-up.
CREATE TABLE unique_id (
    unique_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    patient_key BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C",                             -- of a DocumentEntry, to tell a repeat from a contradiction
    size BIGINT
);

CREATE TABLE document_entry (
    patient_key BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    lid TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    status BIGINT NOT NULL,                 -- 1 Approved, 2 Deprecated
    entry_type BIGINT NOT NULL,             -- 1 stable, 2 on-demand
    unique_id TEXT COLLATE "C" NOT NULL,
    repository_unique_id TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C",
    size BIGINT,
    class_code TEXT COLLATE "C" NOT NULL,
    type_code TEXT COLLATE "C" NOT NULL,
    practice_setting_code TEXT COLLATE "C" NOT NULL,
    facility_type_code TEXT COLLATE "C" NOT NULL,
    format_code TEXT COLLATE "C" NOT NULL,
    creation_time TEXT COLLATE "C",
    service_start_time TEXT COLLATE "C",
    service_stop_time TEXT COLLATE "C",
    registered_at BIGINT NOT NULL,
    body TEXT NOT NULL,                     -- JSON, the whole object
    PRIMARY KEY (patient_key, id)
);
CREATE INDEX document_entry_time ON document_entry (patient_key, status, creation_time);
CREATE INDEX document_entry_unique_id ON document_entry (unique_id);
CREATE INDEX document_entry_lid ON document_entry (lid);
-- For queries over several or all patients (ITI-51), which must name a class, a facility type or an event.
CREATE INDEX document_entry_class ON document_entry (class_code);
CREATE INDEX document_entry_facility ON document_entry (facility_type_code);

CREATE TABLE document_code (
    patient_key BIGINT NOT NULL,
    entry_id TEXT COLLATE "C" NOT NULL,
    attribute BIGINT NOT NULL,              -- 1 eventCodeList, 2 confidentialityCode, 3 referenceIdList
    code TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (patient_key, entry_id, attribute, code)
);
-- Events only: nobody asks all patients for a confidentiality code. The query must say "attribute = 1".
CREATE INDEX document_code_event ON document_code (code) WHERE attribute = 1;

CREATE TABLE document_author (
    patient_key BIGINT NOT NULL,
    entry_id TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL,                  -- XCN
    PRIMARY KEY (patient_key, entry_id, person)
);

CREATE TABLE submission_set (
    patient_key BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    unique_id TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    content_type_code TEXT COLLATE "C" NOT NULL,
    submission_time TEXT COLLATE "C" NOT NULL,
    registered_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (patient_key, id)
);

CREATE TABLE submission_author (
    patient_key BIGINT NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (patient_key, submission_id, person)
);

CREATE TABLE folder (
    patient_key BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    lid TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    status BIGINT NOT NULL,
    unique_id TEXT COLLATE "C" NOT NULL,
    last_update_time TEXT COLLATE "C" NOT NULL,
    registered_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (patient_key, id)
);
CREATE INDEX folder_lid ON folder (lid);

CREATE TABLE folder_code (
    patient_key BIGINT NOT NULL,
    folder_id TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (patient_key, folder_id, code)
);
CREATE INDEX folder_code_code ON folder_code (code);

CREATE TABLE association (
    patient_key BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    assoc_type TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    registered_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (patient_key, id)
);
CREATE INDEX association_source ON association (patient_key, source_id);
CREATE INDEX association_target ON association (patient_key, target_id);

-- Documents at rest, by content.
CREATE TABLE blob (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,         -- SHA-256, hex
    size BIGINT NOT NULL,
    sha1 TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

-- What this repository answers ITI-43 with.
CREATE TABLE repository_document (
    unique_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    blob_key TEXT COLLATE "C" NOT NULL,
    mime_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,                    -- SHA-1, hex, as in the metadata
    patient_pid TEXT COLLATE "C" NOT NULL,
    stored_at BIGINT NOT NULL
);
-- For the sweeper: is this blob still used?
CREATE INDEX repository_document_blob ON repository_document (blob_key);

-- Append-only. Ids are UUIDv7, so a span of time is a span of ids and needs no index of its own.
CREATE TABLE audit_event (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    transaction_code TEXT COLLATE "C" NOT NULL,
    outcome BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- Effects still to happen, in order within a stream.
CREATE TABLE outbox (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    lease_until BIGINT NOT NULL             -- 0 when nobody works on it
);
CREATE INDEX outbox_stream ON outbox (stream, id);
CREATE INDEX outbox_due ON outbox (not_before);

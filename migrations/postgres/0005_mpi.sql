-- The master patient index (統合MPI): identities, persons, and why they are linked. PostgreSQL; the same as
-- migrations/sqlite/0005_mpi.sql.
--
-- What was said (demographic_version) and what was decided (link_event, verdict) is append only; identity,
-- person and the tables that questions read follow from it.

-- A patient whose id was merged away: their objects are the survivor's, under whom they are found.
ALTER TABLE patient ADD COLUMN merged_into BIGINT;
ALTER TABLE patient ADD COLUMN merged_at BIGINT;
CREATE INDEX patient_merged ON patient (merged_into) WHERE merged_into IS NOT NULL;
-- The patient for whom an object was registered, once a merge has made it another's.
ALTER TABLE object_id ADD COLUMN origin_key BIGINT;
CREATE INDEX object_id_origin ON object_id (origin_key) WHERE origin_key IS NOT NULL;
ALTER TABLE repository_document ADD COLUMN origin_pid TEXT COLLATE "C";
CREATE INDEX repository_document_origin ON repository_document (origin_pid) WHERE origin_pid IS NOT NULL;

-- A patient in one assigning authority.
CREATE TABLE identity (
    identity_key BIGINT NOT NULL PRIMARY KEY,
    domain TEXT COLLATE "C" NOT NULL,                   -- the OID
    value TEXT COLLATE "C" NOT NULL,                    -- compared exactly: leading zeros count
    status BIGINT NOT NULL,                -- 1 active, 2 subsumed
    person_key BIGINT NOT NULL,
    subsumed_into BIGINT,                  -- identity_key of the survivor
    version BIGINT NOT NULL,               -- the newest demographic_version
    features TEXT NOT NULL,                 -- of it, normalised, as matching stores them
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (domain, value)
);
CREATE INDEX identity_person ON identity (person_key);

-- What was known of an identity, from when on. Append only.
CREATE TABLE demographic_version (
    identity_key BIGINT NOT NULL,
    version BIGINT NOT NULL,               -- 1, 2, 3 …
    valid_from BIGINT NOT NULL,
    occurred TEXT COLLATE "C",                          -- as the sender says
    source TEXT NOT NULL,                   -- JSON: sender, event, control id, warnings
    sent TEXT NOT NULL,                     -- JSON: all that is known
    raw BYTEA NOT NULL,                      -- the message as it came
    PRIMARY KEY (identity_key, version)
);

-- The individual, under an id of the network's own domain. person_key is also patient.patient_key.
CREATE TABLE person (
    person_key BIGINT NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL UNIQUE,             -- 地連患者ID; never reused
    status BIGINT NOT NULL,                -- 1 active, 2 replaced
    replaced_by BIGINT,                    -- person_key
    created_at BIGINT NOT NULL
);
CREATE INDEX person_replaced ON person (replaced_by) WHERE replaced_by IS NOT NULL;

-- What happened to links, by whom and why. Append only; undoing is another event.
CREATE TABLE link_event (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- UUIDv7
    action TEXT COLLATE "C" NOT NULL,                    -- what was asked for once: its events are undone together
    at BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    identity_key BIGINT,
    other_key BIGINT,                      -- the other identity, of merges and verdicts
    person_from BIGINT,
    person_to BIGINT,
    manual BIGINT NOT NULL,                -- 1: a person or a sender said so
    cause TEXT NOT NULL                     -- JSON: rule, score with its fields, model, who, why
);
CREATE INDEX link_event_action ON link_event (action);
CREATE INDEX link_event_identity ON link_event (identity_key, id);
CREATE INDEX link_event_other ON link_event (other_key, id) WHERE other_key IS NOT NULL;
CREATE INDEX link_event_from ON link_event (person_from, id) WHERE person_from IS NOT NULL;
CREATE INDEX link_event_to ON link_event (person_to, id) WHERE person_to IS NOT NULL;

-- What somebody said of two identities. The smaller key first.
CREATE TABLE verdict (
    a_key BIGINT NOT NULL,
    b_key BIGINT NOT NULL,
    same BIGINT NOT NULL,                  -- 1 one person, 0 two: do not link
    event_id TEXT COLLATE "C" NOT NULL,                 -- the link_event that says so
    PRIMARY KEY (a_key, b_key)
);
CREATE INDEX verdict_b ON verdict (b_key);

-- Pairs of identities that came near each other when the later of them was weighed.
CREATE TABLE pair (
    a_key BIGINT NOT NULL,
    b_key BIGINT NOT NULL,
    class BIGINT NOT NULL,                 -- 1 certain enough to link, 2 a rival of links, 3 in doubt
    score BIGINT NOT NULL,                 -- thousandths of a bit
    model TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,                     -- JSON: reason, and the fields one by one
    PRIMARY KEY (a_key, b_key)
);
CREATE INDEX pair_b ON pair (b_key);

-- Blocking keys, hashed: identities that share one are compared.
CREATE TABLE mpi_key (
    hash BIGINT NOT NULL,
    identity_key BIGINT NOT NULL,
    PRIMARY KEY (hash, identity_key)
);

-- For demographics queries: each name of an identity, folded, with the birth date beside it.
CREATE TABLE mpi_name (
    identity_key BIGINT NOT NULL,
    n BIGINT NOT NULL,
    family TEXT COLLATE "C" NOT NULL,
    given TEXT COLLATE "C" NOT NULL,
    birth TEXT COLLATE "C" NOT NULL,                    -- YYYY, YYYYMM, YYYYMMDD or nothing
    PRIMARY KEY (identity_key, n)
);
CREATE INDEX mpi_name_family ON mpi_name (family, given);
CREATE INDEX mpi_name_given ON mpi_name (given);
CREATE INDEX mpi_name_birth ON mpi_name (birth, family);
-- And what else may be asked for: postcode, telephone, account, the mother's name.
CREATE TABLE mpi_term (
    kind BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    identity_key BIGINT NOT NULL,
    PRIMARY KEY (kind, value, identity_key)
);
CREATE INDEX mpi_term_identity ON mpi_term (identity_key);

-- An identity somebody has to look at, with the persons it may be.
CREATE TABLE review_task (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- UUIDv7
    identity_key BIGINT NOT NULL,
    kind BIGINT NOT NULL,                  -- 1 within the network, 2 across networks
    state BIGINT NOT NULL,                 -- 1 候補, 2 確認待ち, 3 確定, 4 却下, 5 解除, 6 no longer
    priority BIGINT NOT NULL,              -- greater first
    assignee TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    body TEXT NOT NULL                      -- JSON: reason, candidates with their fields, the verdict
);
CREATE INDEX review_task_state ON review_task (state, priority, id);
CREATE INDEX review_task_identity ON review_task (identity_key);

-- Matching models trained here, and which of them is used.
CREATE TABLE mpi_model (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- hash of the body
    body TEXT NOT NULL,                     -- JSON
    created_at BIGINT NOT NULL,
    accepted_at BIGINT,
    accepted_by TEXT COLLATE "C"
);

-- Demographics queries whose rest may still be asked for.
CREATE TABLE mpi_query (
    asker TEXT COLLATE "C" NOT NULL,
    query_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    place BIGINT NOT NULL,                 -- results given so far
    body TEXT NOT NULL,                     -- JSON: persons found, domains asked for
    PRIMARY KEY (asker, query_id)
);
CREATE INDEX mpi_query_expires ON mpi_query (expires_at);

-- The master patient index (統合MPI): identities, persons, and why they are linked. SQLite; the same as
-- migrations/postgres/0005_mpi.sql.
--
-- What was said (demographic_version) and what was decided (link_event, verdict) is append only; identity,
-- person and the tables that questions read follow from it.

-- A patient whose id was merged away: their objects are the survivor's, under whom they are found.
ALTER TABLE patient ADD COLUMN merged_into INTEGER;
ALTER TABLE patient ADD COLUMN merged_at INTEGER;
CREATE INDEX patient_merged ON patient (merged_into) WHERE merged_into IS NOT NULL;
-- The patient for whom an object was registered, once a merge has made it another's.
ALTER TABLE object_id ADD COLUMN origin_key INTEGER;
CREATE INDEX object_id_origin ON object_id (origin_key) WHERE origin_key IS NOT NULL;
ALTER TABLE repository_document ADD COLUMN origin_pid TEXT;
CREATE INDEX repository_document_origin ON repository_document (origin_pid) WHERE origin_pid IS NOT NULL;

-- A patient in one assigning authority.
CREATE TABLE identity (
    identity_key INTEGER NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,                   -- the OID
    value TEXT NOT NULL,                    -- compared exactly: leading zeros count
    status INTEGER NOT NULL,                -- 1 active, 2 subsumed
    person_key INTEGER NOT NULL,
    subsumed_into INTEGER,                  -- identity_key of the survivor
    version INTEGER NOT NULL,               -- the newest demographic_version
    features TEXT NOT NULL,                 -- of it, normalised, as matching stores them
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (domain, value)
) STRICT;
CREATE INDEX identity_person ON identity (person_key);

-- What was known of an identity, from when on. Append only.
CREATE TABLE demographic_version (
    identity_key INTEGER NOT NULL,
    version INTEGER NOT NULL,               -- 1, 2, 3 …
    valid_from INTEGER NOT NULL,
    occurred TEXT,                          -- as the sender says
    source TEXT NOT NULL,                   -- JSON: sender, event, control id, warnings
    sent TEXT NOT NULL,                     -- JSON: all that is known
    raw BLOB NOT NULL,                      -- the message as it came
    PRIMARY KEY (identity_key, version)
) STRICT;

-- The individual, under an id of the network's own domain. person_key is also patient.patient_key.
CREATE TABLE person (
    person_key INTEGER NOT NULL PRIMARY KEY,
    value TEXT NOT NULL UNIQUE,             -- 地連患者ID; never reused
    status INTEGER NOT NULL,                -- 1 active, 2 replaced
    replaced_by INTEGER,                    -- person_key
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX person_replaced ON person (replaced_by) WHERE replaced_by IS NOT NULL;

-- What happened to links, by whom and why. Append only; undoing is another event.
CREATE TABLE link_event (
    id TEXT NOT NULL PRIMARY KEY,           -- UUIDv7
    action TEXT NOT NULL,                    -- what was asked for once: its events are undone together
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    identity_key INTEGER,
    other_key INTEGER,                      -- the other identity, of merges and verdicts
    person_from INTEGER,
    person_to INTEGER,
    manual INTEGER NOT NULL,                -- 1: a person or a sender said so
    cause TEXT NOT NULL                     -- JSON: rule, score with its fields, model, who, why
) STRICT;
CREATE INDEX link_event_action ON link_event (action);
CREATE INDEX link_event_identity ON link_event (identity_key, id);
CREATE INDEX link_event_other ON link_event (other_key, id) WHERE other_key IS NOT NULL;
CREATE INDEX link_event_from ON link_event (person_from, id) WHERE person_from IS NOT NULL;
CREATE INDEX link_event_to ON link_event (person_to, id) WHERE person_to IS NOT NULL;

-- What somebody said of two identities. The smaller key first.
CREATE TABLE verdict (
    a_key INTEGER NOT NULL,
    b_key INTEGER NOT NULL,
    same INTEGER NOT NULL,                  -- 1 one person, 0 two: do not link
    event_id TEXT NOT NULL,                 -- the link_event that says so
    PRIMARY KEY (a_key, b_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdict_b ON verdict (b_key);

-- Pairs of identities that came near each other when the later of them was weighed.
CREATE TABLE pair (
    a_key INTEGER NOT NULL,
    b_key INTEGER NOT NULL,
    class INTEGER NOT NULL,                 -- 1 certain enough to link, 2 a rival of links, 3 in doubt
    score INTEGER NOT NULL,                 -- thousandths of a bit
    model TEXT NOT NULL,
    body TEXT NOT NULL,                     -- JSON: reason, and the fields one by one
    PRIMARY KEY (a_key, b_key)
) STRICT;
CREATE INDEX pair_b ON pair (b_key);

-- Blocking keys, hashed: identities that share one are compared.
CREATE TABLE mpi_key (
    hash INTEGER NOT NULL,
    identity_key INTEGER NOT NULL,
    PRIMARY KEY (hash, identity_key)
) STRICT, WITHOUT ROWID;

-- For demographics queries: each name of an identity, folded, with the birth date beside it.
CREATE TABLE mpi_name (
    identity_key INTEGER NOT NULL,
    n INTEGER NOT NULL,
    family TEXT NOT NULL,
    given TEXT NOT NULL,
    birth TEXT NOT NULL,                    -- YYYY, YYYYMM, YYYYMMDD or nothing
    PRIMARY KEY (identity_key, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX mpi_name_family ON mpi_name (family, given);
CREATE INDEX mpi_name_given ON mpi_name (given);
CREATE INDEX mpi_name_birth ON mpi_name (birth, family);
-- And what else may be asked for: postcode, telephone, account, the mother's name.
CREATE TABLE mpi_term (
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    identity_key INTEGER NOT NULL,
    PRIMARY KEY (kind, value, identity_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX mpi_term_identity ON mpi_term (identity_key);

-- An identity somebody has to look at, with the persons it may be.
CREATE TABLE review_task (
    id TEXT NOT NULL PRIMARY KEY,           -- UUIDv7
    identity_key INTEGER NOT NULL,
    kind INTEGER NOT NULL,                  -- 1 within the network, 2 across networks
    state INTEGER NOT NULL,                 -- 1 候補, 2 確認待ち, 3 確定, 4 却下, 5 解除, 6 no longer
    priority INTEGER NOT NULL,              -- greater first
    assignee TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    body TEXT NOT NULL                      -- JSON: reason, candidates with their fields, the verdict
) STRICT;
CREATE INDEX review_task_state ON review_task (state, priority, id);
CREATE INDEX review_task_identity ON review_task (identity_key);

-- Matching models trained here, and which of them is used.
CREATE TABLE mpi_model (
    id TEXT NOT NULL PRIMARY KEY,           -- hash of the body
    body TEXT NOT NULL,                     -- JSON
    created_at INTEGER NOT NULL,
    accepted_at INTEGER,
    accepted_by TEXT
) STRICT;

-- Demographics queries whose rest may still be asked for.
CREATE TABLE mpi_query (
    asker TEXT NOT NULL,
    query_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    place INTEGER NOT NULL,                 -- results given so far
    body TEXT NOT NULL,                     -- JSON: persons found, domains asked for
    PRIMARY KEY (asker, query_id)
) STRICT;
CREATE INDEX mpi_query_expires ON mpi_query (expires_at);

-- Frozen like those of 0001.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('identity', 'sqlite_autoindex_identity_1', '1000000 100000 1'),
    ('identity', 'identity_person', '1000000 2'),
    ('demographic_version', 'sqlite_autoindex_demographic_version_1', '2000000 2 1'),
    ('link_event', 'link_event_action', '1000000 2'),
    ('link_event', 'link_event_identity', '1000000 2 1'),
    ('link_event', 'link_event_from', '100000 2 1'),
    ('link_event', 'link_event_to', '1000000 2 1'),
    ('verdict', 'verdict', '10000 2 1'),
    ('verdict', 'verdict_b', '10000 2'),
    ('pair', 'sqlite_autoindex_pair_1', '1000000 2 1'),
    ('pair', 'pair_b', '1000000 2'),
    ('mpi_key', 'mpi_key', '10000000 10 1'),
    ('mpi_name', 'mpi_name', '2000000 2 1'),
    ('mpi_name', 'mpi_name_family', '2000000 400 10'),
    ('mpi_name', 'mpi_name_given', '2000000 200'),
    ('mpi_name', 'mpi_name_birth', '2000000 60 2'),
    ('mpi_term', 'mpi_term', '3000000 1000000 3 1'),
    ('mpi_term', 'mpi_term_identity', '3000000 3'),
    ('review_task', 'review_task_state', '100000 20000 1000 1'),
    ('review_task', 'review_task_identity', '100000 2');

-- What goes to the national record-sharing service: what was decided of each document and why, what is held there under
-- which identifier, what is on its way. SQLite; the same as migrations/postgres/0011_national.sql.

-- One row while changes of the registry are to be looked at; written when a gateway starts.
CREATE TABLE national_switch (
    name TEXT NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT;

-- A reporting unit: what is one document there, whatever replaced it here.
CREATE TABLE national_lineage (
    id TEXT NOT NULL PRIMARY KEY,
    institution TEXT NOT NULL,              -- ten digits
    patient_key INTEGER NOT NULL,
    patient_pid TEXT NOT NULL,              -- CX
    kind TEXT NOT NULL,                     -- referral, discharge, checkup, summary, info
    resource_type TEXT,                     -- of 5情報
    bundle_system TEXT,                     -- Bundle.identifier, fixed when first sent
    bundle_value TEXT,
    insured_id TEXT,                        -- as registered
    destination TEXT,
    consent TEXT,
    state INTEGER NOT NULL,                 -- 0 nothing there, 1 accepted, 2 received, 3 cancelled, 4 expired
    current_lid TEXT,                       -- logicalID of the document that is there
    current_entry TEXT,                     -- its entryUUID when it was sent
    revision INTEGER NOT NULL,              -- counts every change: of two decisions on one state the first counts
    receipt TEXT,
    registered_at INTEGER,
    said_state TEXT,                        -- of a letter, as the service last said: pending, viewable, received, …
    followed_at INTEGER,                    -- when it was last asked
    received_at INTEGER,
    expires_at INTEGER,
    warned_at INTEGER,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX national_lineage_bundle ON national_lineage (institution, bundle_value);
CREATE INDEX national_lineage_patient ON national_lineage (patient_key);
CREATE INDEX national_lineage_state ON national_lineage (state, kind, followed_at);

-- Which documents are of a lineage, by logicalID.
CREATE TABLE national_member (
    lid TEXT NOT NULL PRIMARY KEY,
    lineage TEXT NOT NULL,
    patient_key INTEGER NOT NULL
) STRICT;
CREATE INDEX national_member_lineage ON national_member (lineage);

-- What was decided. Append only but for current and closed_*.
CREATE TABLE national_decision (
    id TEXT NOT NULL PRIMARY KEY,           -- UUIDv7
    entry_id TEXT NOT NULL,                 -- entryUUID
    lid TEXT NOT NULL,
    patient_key INTEGER NOT NULL,
    lineage TEXT,
    institution TEXT,
    at INTEGER NOT NULL,
    outcome INTEGER NOT NULL,               -- 1 send, 2 skip, 3 hold, 4 fail
    gate INTEGER NOT NULL,
    reason TEXT,
    operation TEXT,
    digest TEXT NOT NULL,                   -- SHA-256 of the facts
    body TEXT NOT NULL,                     -- JSON: facts, decision, findings
    current INTEGER NOT NULL,               -- 1: the last word on this document
    expires_at INTEGER,                     -- of a hold
    closed_at INTEGER,                      -- somebody has dealt with it
    closed_by TEXT
) STRICT;
CREATE INDEX national_decision_entry ON national_decision (entry_id, id);
CREATE INDEX national_decision_lid ON national_decision (lid, id);
CREATE INDEX national_decision_open ON national_decision (current, outcome, id);
CREATE INDEX national_decision_lineage ON national_decision (lineage, current);
CREATE INDEX national_decision_institution ON national_decision (institution, id);

-- What is to be sent, is being sent, was sent.
CREATE TABLE national_delivery (
    id TEXT NOT NULL PRIMARY KEY,           -- UUIDv7
    key TEXT NOT NULL UNIQUE,               -- idempotency key: the same for every attempt
    institution TEXT NOT NULL,              -- the lane
    queue TEXT NOT NULL,                    -- institution, patient and type: in order within
    ordinal INTEGER NOT NULL,
    lineage TEXT NOT NULL,
    entry_id TEXT NOT NULL,
    lid TEXT NOT NULL,
    operation TEXT NOT NULL,
    call TEXT NOT NULL,                     -- JSON, without the Bundle
    bundle BLOB,                            -- as it goes each time; none once it has arrived
    bundle_hash TEXT,                       -- SHA-256
    state INTEGER NOT NULL,                 -- 1 waiting, 2 processing there, 3 done, 4 parked, 5 dropped, 6 held
    unsure INTEGER NOT NULL,                -- 1: it may have arrived; asked before it is sent again
    attempts INTEGER NOT NULL,
    polls INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    first_attempt_at INTEGER,
    settled_at INTEGER,
    leased_by TEXT,
    lease_until INTEGER NOT NULL,
    code TEXT,                              -- result code
    failure TEXT,                           -- nobody's data
    problems TEXT                           -- JSON: what the service found; for the facility's eyes
) STRICT;
CREATE INDEX national_delivery_lane ON national_delivery (institution, state, not_before);
CREATE INDEX national_delivery_queue ON national_delivery (queue, ordinal);
CREATE INDEX national_delivery_lineage ON national_delivery (lineage, state);
CREATE INDEX national_delivery_entry ON national_delivery (entry_id);

-- One lane for each institution.
CREATE TABLE national_lane (
    institution TEXT NOT NULL PRIMARY KEY,
    paused_at INTEGER,
    paused_by TEXT,
    failures INTEGER NOT NULL,              -- in a row
    rest_until INTEGER NOT NULL,
    window_at INTEGER NOT NULL,             -- the minute that calls are counted in
    window_calls INTEGER NOT NULL,
    last_done_at INTEGER,
    last_failure_at INTEGER,
    last_failure TEXT
) STRICT;

-- Whether institutions take part, as the service said.
CREATE TABLE national_destination (
    institution TEXT NOT NULL PRIMARY KEY,
    participates INTEGER,
    asked_at INTEGER NOT NULL
) STRICT;

-- What people said: objections, agreements, qualifications, participation.
CREATE TABLE national_fact (
    subject_kind TEXT NOT NULL,             -- patient, entry, institution
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL,
    said_by TEXT NOT NULL,
    PRIMARY KEY (subject_kind, subject, name)
) STRICT;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('national_lineage', 'sqlite_autoindex_national_lineage_1', '1000000 1'),
    ('national_lineage', 'national_lineage_bundle', '1000000 10000 1'),
    ('national_lineage', 'national_lineage_patient', '1000000 5'),
    ('national_lineage', 'national_lineage_state', '1000000 200000 50000 10'),
    ('national_member', 'sqlite_autoindex_national_member_1', '1000000 1'),
    ('national_member', 'national_member_lineage', '1000000 2'),
    ('national_decision', 'sqlite_autoindex_national_decision_1', '2000000 1'),
    ('national_decision', 'national_decision_entry', '2000000 2 1'),
    ('national_decision', 'national_decision_lid', '2000000 2 1'),
    ('national_decision', 'national_decision_open', '2000000 1000000 250000 1'),
    ('national_decision', 'national_decision_lineage', '2000000 3 2'),
    ('national_decision', 'national_decision_institution', '2000000 20000 1'),
    ('national_delivery', 'sqlite_autoindex_national_delivery_1', '1000000 1'),
    ('national_delivery', 'sqlite_autoindex_national_delivery_2', '1000000 1'),
    ('national_delivery', 'national_delivery_lane', '1000000 10000 2000 1'),
    ('national_delivery', 'national_delivery_queue', '1000000 4 1'),
    ('national_delivery', 'national_delivery_lineage', '1000000 2 1'),
    ('national_delivery', 'national_delivery_entry', '1000000 1');

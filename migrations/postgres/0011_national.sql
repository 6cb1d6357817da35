-- What goes to the national record-sharing service: what was decided of each document and why, what is held there under
-- which identifier, what is on its way. PostgreSQL; the same as migrations/sqlite/0011_national.sql.

-- One row while changes of the registry are to be looked at; written when a gateway starts.
CREATE TABLE national_switch (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL
);

-- A reporting unit: what is one document there, whatever replaced it here.
CREATE TABLE national_lineage (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    institution TEXT COLLATE "C" NOT NULL,              -- ten digits
    patient_key BIGINT NOT NULL,
    patient_pid TEXT COLLATE "C" NOT NULL,              -- CX
    kind TEXT COLLATE "C" NOT NULL,                     -- referral, discharge, checkup, summary, info
    resource_type TEXT COLLATE "C",                     -- of 5情報
    bundle_system TEXT COLLATE "C",                     -- Bundle.identifier, fixed when first sent
    bundle_value TEXT COLLATE "C",
    insured_id TEXT COLLATE "C",                        -- as registered
    destination TEXT COLLATE "C",
    consent TEXT COLLATE "C",
    state BIGINT NOT NULL,                 -- 0 nothing there, 1 accepted, 2 received, 3 cancelled, 4 expired
    current_lid TEXT COLLATE "C",                       -- logicalID of the document that is there
    current_entry TEXT COLLATE "C",                     -- its entryUUID when it was sent
    revision BIGINT NOT NULL,              -- counts every change: of two decisions on one state the first counts
    receipt TEXT COLLATE "C",
    registered_at BIGINT,
    said_state TEXT COLLATE "C",                        -- of a letter, as the service last said: pending, viewable, received, …
    followed_at BIGINT,                    -- when it was last asked
    received_at BIGINT,
    expires_at BIGINT,
    warned_at BIGINT,
    updated_at BIGINT NOT NULL
);
CREATE INDEX national_lineage_bundle ON national_lineage (institution, bundle_value);
CREATE INDEX national_lineage_patient ON national_lineage (patient_key);
CREATE INDEX national_lineage_state ON national_lineage (state, kind, followed_at);

-- Which documents are of a lineage, by logicalID.
CREATE TABLE national_member (
    lid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    lineage TEXT COLLATE "C" NOT NULL,
    patient_key BIGINT NOT NULL
);
CREATE INDEX national_member_lineage ON national_member (lineage);

-- What was decided. Append only but for current and closed_*.
CREATE TABLE national_decision (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- UUIDv7
    entry_id TEXT COLLATE "C" NOT NULL,                 -- entryUUID
    lid TEXT COLLATE "C" NOT NULL,
    patient_key BIGINT NOT NULL,
    lineage TEXT COLLATE "C",
    institution TEXT COLLATE "C",
    at BIGINT NOT NULL,
    outcome BIGINT NOT NULL,               -- 1 send, 2 skip, 3 hold, 4 fail
    gate BIGINT NOT NULL,
    reason TEXT COLLATE "C",
    operation TEXT COLLATE "C",
    digest TEXT COLLATE "C" NOT NULL,                   -- SHA-256 of the facts
    body TEXT COLLATE "C" NOT NULL,                     -- JSON: facts, decision, findings
    current BIGINT NOT NULL,               -- 1: the last word on this document
    expires_at BIGINT,                     -- of a hold
    closed_at BIGINT,                      -- somebody has dealt with it
    closed_by TEXT COLLATE "C"
);
CREATE INDEX national_decision_entry ON national_decision (entry_id, id);
CREATE INDEX national_decision_lid ON national_decision (lid, id);
CREATE INDEX national_decision_open ON national_decision (current, outcome, id);
CREATE INDEX national_decision_lineage ON national_decision (lineage, current);
CREATE INDEX national_decision_institution ON national_decision (institution, id);

-- What is to be sent, is being sent, was sent.
CREATE TABLE national_delivery (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- UUIDv7
    key TEXT COLLATE "C" NOT NULL UNIQUE,               -- idempotency key: the same for every attempt
    institution TEXT COLLATE "C" NOT NULL,              -- the lane
    queue TEXT COLLATE "C" NOT NULL,                    -- institution, patient and type: in order within
    ordinal BIGINT NOT NULL,
    lineage TEXT COLLATE "C" NOT NULL,
    entry_id TEXT COLLATE "C" NOT NULL,
    lid TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    call TEXT COLLATE "C" NOT NULL,                     -- JSON, without the Bundle
    bundle BYTEA,                            -- as it goes each time; none once it has arrived
    bundle_hash TEXT COLLATE "C",                       -- SHA-256
    state BIGINT NOT NULL,                 -- 1 waiting, 2 processing there, 3 done, 4 parked, 5 dropped, 6 held
    unsure BIGINT NOT NULL,                -- 1: it may have arrived; asked before it is sent again
    attempts BIGINT NOT NULL,
    polls BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    first_attempt_at BIGINT,
    settled_at BIGINT,
    leased_by TEXT COLLATE "C",
    lease_until BIGINT NOT NULL,
    code TEXT COLLATE "C",                              -- result code
    failure TEXT COLLATE "C",                           -- nobody's data
    problems TEXT COLLATE "C"                           -- JSON: what the service found; for the facility's eyes
);
CREATE INDEX national_delivery_lane ON national_delivery (institution, state, not_before);
CREATE INDEX national_delivery_queue ON national_delivery (queue, ordinal);
CREATE INDEX national_delivery_lineage ON national_delivery (lineage, state);
CREATE INDEX national_delivery_entry ON national_delivery (entry_id);

-- One lane for each institution.
CREATE TABLE national_lane (
    institution TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    paused_at BIGINT,
    paused_by TEXT COLLATE "C",
    failures BIGINT NOT NULL,              -- in a row
    rest_until BIGINT NOT NULL,
    window_at BIGINT NOT NULL,             -- the minute that calls are counted in
    window_calls BIGINT NOT NULL,
    last_done_at BIGINT,
    last_failure_at BIGINT,
    last_failure TEXT COLLATE "C"
);

-- Whether institutions take part, as the service said.
CREATE TABLE national_destination (
    institution TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    participates BIGINT,
    asked_at BIGINT NOT NULL
);

-- What people said: objections, agreements, qualifications, participation.
CREATE TABLE national_fact (
    subject_kind TEXT COLLATE "C" NOT NULL,             -- patient, entry, institution
    subject TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    said_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (subject_kind, subject, name)
);

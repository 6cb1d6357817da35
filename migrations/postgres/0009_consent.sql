-- What patients and the office said of whose documents may be seen by whom, and every change of it. PostgreSQL; the same as
-- migrations/sqlite/0009_consent.sql.

-- Consents, reservations, attestations, emergency access, VIPs. A row is in force until it is ended; what it says is
-- replaced in place, for consent_change keeps what it said before.
CREATE TABLE consent_record (
    patient_key BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,                       -- UUIDv7
    kind BIGINT NOT NULL,                  -- 1 consent, 2 reservation, 3 attestation, 4 break-glass, 5 VIP
    evidence TEXT COLLATE "C",                          -- uniqueId of the document it was read from: counts while that is Approved
    until BIGINT,                          -- of 3 and 4: when it ends by itself
    reviewed_at BIGINT,                    -- of 4
    body TEXT COLLATE "C" NOT NULL,                     -- JSON
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (patient_key, id)
);
CREATE INDEX consent_record_id ON consent_record (id);
CREATE INDEX consent_record_kind ON consent_record (kind, id);

-- Every change, by whom and why. Append only.
CREATE TABLE consent_change (
    patient_key BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,                       -- UUIDv7
    record_id TEXT COLLATE "C" NOT NULL,                -- of consent_record; uniqueId of a document on hold; a patient's key of a tie
    operation TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    who TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C",                              -- JSON: what it says from then on
    PRIMARY KEY (patient_key, id)
);

-- Patients joined to another, or parted from one: until the office confirms what holds, nothing is permitted that
-- either does not permit (security.md 4.1).
CREATE TABLE consent_tie (
    patient_key BIGINT NOT NULL,           -- who stays, or who is new
    other_key BIGINT NOT NULL,             -- who was joined to them, or whom they were parted from
    how BIGINT NOT NULL,                   -- 1 joined, 2 parted
    at BIGINT NOT NULL,
    confirmed_at BIGINT,
    PRIMARY KEY (patient_key, other_key)
);

-- Documents nobody is shown, whatever was consented to.
CREATE TABLE consent_hold (
    unique_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    who TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL
);

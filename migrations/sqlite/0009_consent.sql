-- What patients and the office said of whose documents may be seen by whom, and every change of it. SQLite; the same as
-- migrations/postgres/0009_consent.sql.

-- Consents, reservations, attestations, emergency access, VIPs. A row is in force until it is ended; what it says is
-- replaced in place, for consent_change keeps what it said before.
CREATE TABLE consent_record (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,                       -- UUIDv7
    kind INTEGER NOT NULL,                  -- 1 consent, 2 reservation, 3 attestation, 4 break-glass, 5 VIP
    evidence TEXT,                          -- uniqueId of the document it was read from: counts while that is Approved
    until INTEGER,                          -- of 3 and 4: when it ends by itself
    reviewed_at INTEGER,                    -- of 4
    body TEXT NOT NULL,                     -- JSON
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (patient_key, id)
) STRICT;
CREATE INDEX consent_record_id ON consent_record (id);
CREATE INDEX consent_record_kind ON consent_record (kind, id);

-- Every change, by whom and why. Append only.
CREATE TABLE consent_change (
    patient_key INTEGER NOT NULL,
    id TEXT NOT NULL,                       -- UUIDv7
    record_id TEXT NOT NULL,                -- of consent_record; uniqueId of a document on hold; a patient's key of a tie
    operation TEXT NOT NULL,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    request_id TEXT NOT NULL,
    body TEXT,                              -- JSON: what it says from then on
    PRIMARY KEY (patient_key, id)
) STRICT;

-- Patients joined to another, or parted from one: until the office confirms what holds, nothing is permitted that
-- either does not permit (security.md 4.1).
CREATE TABLE consent_tie (
    patient_key INTEGER NOT NULL,           -- who stays, or who is new
    other_key INTEGER NOT NULL,             -- who was joined to them, or whom they were parted from
    how INTEGER NOT NULL,                   -- 1 joined, 2 parted
    at INTEGER NOT NULL,
    confirmed_at INTEGER,
    PRIMARY KEY (patient_key, other_key)
) STRICT;

-- Documents nobody is shown, whatever was consented to.
CREATE TABLE consent_hold (
    unique_id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('consent_record', 'sqlite_autoindex_consent_record_1', '1000000 4 1'),
    ('consent_record', 'consent_record_id', '1000000 1'),
    ('consent_record', 'consent_record_kind', '1000000 200000 1'),
    ('consent_change', 'sqlite_autoindex_consent_change_1', '2000000 8 1'),
    ('consent_tie', 'sqlite_autoindex_consent_tie_1', '10000 2 1'),
    ('consent_hold', 'sqlite_autoindex_consent_hold_1', '100 1');

-- The audit trail as a chain (docs/audit.md): which records are chained in which order, with their hashes; what other
-- systems sent us (ITI-20); how far each repository has our records. SQLite; the same as
-- migrations/postgres/0010_audit.sql.

-- Records that no segment holds yet. One that is neither here nor in a segment was put there by nobody of ours.
CREATE TABLE audit_waiting (
    chain TEXT NOT NULL,                    -- own, received
    id TEXT NOT NULL,
    PRIMARY KEY (chain, id)
) STRICT, WITHOUT ROWID;
INSERT INTO audit_waiting (chain, id) SELECT 'own', id FROM audit_event;

-- Syslog messages as they came.
CREATE TABLE audit_received (
    id TEXT NOT NULL PRIMARY KEY,           -- UUIDv7 of its arrival
    at INTEGER NOT NULL,                    -- EventDateTime; its arrival, where it cannot be read
    received_at INTEGER NOT NULL,
    sender TEXT NOT NULL,                   -- address
    certificate TEXT,                       -- SHA-256
    transport TEXT NOT NULL,                -- tls, tcp, udp
    original BLOB NOT NULL
) STRICT;
CREATE INDEX audit_received_at ON audit_received (at, id);

-- Runs of a chain. Append only, but for what purging empties.
CREATE TABLE audit_segment (
    chain TEXT NOT NULL,                    -- own, received
    first_seq INTEGER NOT NULL,             -- from 1
    last_seq INTEGER NOT NULL,
    first_at INTEGER NOT NULL,              -- the oldest and the newest record in it
    last_at INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    previous TEXT NOT NULL,                 -- hash of the record before, hex
    hash TEXT NOT NULL,                     -- of the last record
    mac TEXT,                               -- HMAC-SHA-256 under the key of [audit] key_file
    links TEXT NOT NULL,                    -- a line for each record: id, hash
    purged_at INTEGER,
    PRIMARY KEY (chain, first_seq)
) STRICT;

-- Whose records are where: filled with the chain.
CREATE TABLE audit_patient (
    patient TEXT NOT NULL,                  -- CX
    at INTEGER NOT NULL,
    chain TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (patient, at, chain, id)
) STRICT, WITHOUT ROWID;

-- Up to which record of our chain each repository has them.
CREATE TABLE audit_cursor (
    repository TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

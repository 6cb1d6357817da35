-- The audit trail as a chain (docs/audit.md): which records are chained in which order, with their hashes; what other
-- systems sent us (ITI-20); how far each repository has our records. PostgreSQL; the same as
-- migrations/sqlite/0010_audit.sql.

-- Records that no segment holds yet. One that is neither here nor in a segment was put there by nobody of ours.
CREATE TABLE audit_waiting (
    chain TEXT COLLATE "C" NOT NULL,                    -- own, received
    id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (chain, id)
);
INSERT INTO audit_waiting (chain, id) SELECT 'own', id FROM audit_event;

-- Syslog messages as they came.
CREATE TABLE audit_received (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- UUIDv7 of its arrival
    at BIGINT NOT NULL,                    -- EventDateTime; its arrival, where it cannot be read
    received_at BIGINT NOT NULL,
    sender TEXT COLLATE "C" NOT NULL,                   -- address
    certificate TEXT COLLATE "C",                       -- SHA-256
    transport TEXT COLLATE "C" NOT NULL,                -- tls, tcp, udp
    original BYTEA NOT NULL
);
CREATE INDEX audit_received_at ON audit_received (at, id);

-- Runs of a chain. Append only, but for what purging empties.
CREATE TABLE audit_segment (
    chain TEXT COLLATE "C" NOT NULL,                    -- own, received
    first_seq BIGINT NOT NULL,             -- from 1
    last_seq BIGINT NOT NULL,
    first_at BIGINT NOT NULL,              -- the oldest and the newest record in it
    last_at BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    previous TEXT COLLATE "C" NOT NULL,                 -- hash of the record before, hex
    hash TEXT COLLATE "C" NOT NULL,                     -- of the last record
    mac TEXT COLLATE "C",                               -- HMAC-SHA-256 under the key of [audit] key_file
    links TEXT COLLATE "C" NOT NULL,                    -- a line for each record: id, hash
    purged_at BIGINT,
    PRIMARY KEY (chain, first_seq)
);

-- Whose records are where: filled with the chain.
CREATE TABLE audit_patient (
    patient TEXT COLLATE "C" NOT NULL,                  -- CX
    at BIGINT NOT NULL,
    chain TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (patient, at, chain, id)
);

-- Up to which record of our chain each repository has them.
CREATE TABLE audit_cursor (
    repository TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

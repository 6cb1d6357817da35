-- Assigning authorities that operators add while gateways run, and the heads of ordered streams.
-- SQLite; the same as migrations/postgres/0007_domains.sql.
CREATE TABLE mpi_domain (
    oid TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,                     -- JSON: the row as it would stand in mpi.domain
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    retired_at INTEGER,                        -- no more ids of it are taken
    retired_by TEXT,
    changed_at INTEGER NOT NULL                -- gateways read again what is newer than they know
) STRICT;

CREATE INDEX outbox_ordered ON outbox (stream, ordinal) WHERE ordinal > 0;
CREATE INDEX outbox_free ON outbox (not_before, id) WHERE ordinal = 0;

-- Assigning authorities that operators add while gateways run, and the heads of ordered streams.
-- PostgreSQL; the same as migrations/sqlite/0007_domains.sql.
CREATE TABLE mpi_domain (
    oid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    body TEXT COLLATE "C" NOT NULL,                     -- JSON: the row as it would stand in mpi.domain
    added_at BIGINT NOT NULL,
    added_by TEXT COLLATE "C" NOT NULL,
    retired_at BIGINT,                        -- no more ids of it are taken
    retired_by TEXT COLLATE "C",
    changed_at BIGINT NOT NULL                -- gateways read again what is newer than they know
);

CREATE INDEX outbox_ordered ON outbox (stream, ordinal) WHERE ordinal > 0;
CREATE INDEX outbox_free ON outbox (not_before, id) WHERE ordinal = 0;

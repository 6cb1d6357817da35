-- Documents under several gateways: who sweeps, and what is being removed. PostgreSQL; the same as
-- migrations/sqlite/0003_documents.sql.

-- Work that only one gateway does at a time, until a moment (microseconds since 1970).
CREATE TABLE lease (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);

-- The sweeper condemns the octets of documents that nothing refers to, then removes them. A row that is
-- condemned refuses new references. Both NULL: not condemned.
ALTER TABLE blob ADD COLUMN condemned_at BIGINT;
ALTER TABLE blob ADD COLUMN gone_at BIGINT;
CREATE INDEX blob_condemned ON blob (condemned_at) WHERE condemned_at IS NOT NULL;

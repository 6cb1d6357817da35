-- Documents under several gateways: who sweeps, and what is being removed. SQLite; the same as
-- migrations/postgres/0003_documents.sql.

-- Work that only one gateway does at a time, until a moment (microseconds since 1970).
CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The sweeper condemns the octets of documents that nothing refers to, then removes them. A row that is
-- condemned refuses new references. Both NULL: not condemned.
ALTER TABLE blob ADD COLUMN condemned_at INTEGER;
ALTER TABLE blob ADD COLUMN gone_at INTEGER;
CREATE INDEX blob_condemned ON blob (condemned_at) WHERE condemned_at IS NOT NULL;

-- Assertions, tokens and messages that were brought: by whom, and until when that matters. Hashes alone.
-- SQLite; the same as migrations/postgres/0012_xua.sql.
CREATE TABLE xua_seen (
    key TEXT NOT NULL PRIMARY KEY,          -- SHA-256 of kind, issuer and id, in hex
    bearer TEXT NOT NULL,                   -- SHA-256 of the node that brought it first
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX xua_seen_until ON xua_seen (until);

-- Assertions, tokens and messages that were brought: by whom, and until when that matters. Hashes alone.
-- PostgreSQL; the same as migrations/sqlite/0012_xua.sql.
CREATE TABLE xua_seen (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,          -- SHA-256 of kind, issuer and id, in hex
    bearer TEXT COLLATE "C" NOT NULL,                   -- SHA-256 of the node that brought it first
    until BIGINT NOT NULL
);

CREATE INDEX xua_seen_until ON xua_seen (until);

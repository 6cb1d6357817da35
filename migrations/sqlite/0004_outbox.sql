-- The outbox at work: order within a stream, who delivers a row, and rows given up on.
-- SQLite; the same as migrations/postgres/0004_outbox.sql.
ALTER TABLE outbox ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;   -- place in an ordered stream, from 1; 0: no order
ALTER TABLE outbox ADD COLUMN leased_by TEXT;                       -- who works on it, until lease_until
ALTER TABLE outbox ADD COLUMN parked_at INTEGER;                    -- given up; not_before is then the end of time
ALTER TABLE outbox ADD COLUMN failure TEXT;                         -- why the last attempt failed; nobody's data

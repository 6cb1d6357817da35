-- Who patients are in other communities: links between ids of two networks, how each was learnt, how long it holds, and
-- what was said of it. SQLite; the same as migrations/postgres/0008_correlation.sql.

-- A link. Of one person several ids may be known in one community, until somebody has decided.
CREATE TABLE correlation (
    id TEXT NOT NULL PRIMARY KEY,           -- UUIDv7
    patient_key INTEGER NOT NULL,           -- ours
    home TEXT NOT NULL,                     -- homeCommunityId, urn:oid:…
    domain TEXT NOT NULL,                   -- the OID of their authority
    value TEXT NOT NULL,                    -- their id
    way INTEGER NOT NULL,                   -- 1 PIX, 2 XCPD, 3 shared id, 4 by hand
    state INTEGER NOT NULL,                 -- as review_task.state: 1 候補, 2 確認待ち, 3 確定, 4 却下, 5 解除, 6 no longer
    manual INTEGER NOT NULL,                -- 1: somebody said so; no machine says otherwise
    valid_until INTEGER,                    -- none: until something else is said
    score INTEGER,                          -- 0 to 100, as they said
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (patient_key, home, domain, value)
) STRICT;
CREATE INDEX correlation_foreign ON correlation (domain, value);
CREATE INDEX correlation_state ON correlation (state, id);

-- What happened to links, by whom and why. Append only.
CREATE TABLE correlation_event (
    id TEXT NOT NULL PRIMARY KEY,           -- UUIDv7
    correlation_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    state INTEGER NOT NULL,                 -- from then on
    way INTEGER NOT NULL,
    valid_until INTEGER,
    who TEXT NOT NULL,                      -- a person, or the community that answered
    reason TEXT NOT NULL,
    request_id TEXT NOT NULL
) STRICT;
CREATE INDEX correlation_event_of ON correlation_event (correlation_id, at, id);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('correlation', 'sqlite_autoindex_correlation_1', '1000000 1'),
    ('correlation', 'sqlite_autoindex_correlation_2', '1000000 2 2 2 1'),
    ('correlation', 'correlation_foreign', '1000000 200000 1'),
    ('correlation', 'correlation_state', '1000000 200000 1'),
    ('correlation_event', 'sqlite_autoindex_correlation_event_1', '4000000 1'),
    ('correlation_event', 'correlation_event_of', '4000000 4 2 1');

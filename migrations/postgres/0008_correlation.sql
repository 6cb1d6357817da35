-- Who patients are in other communities: links between ids of two networks, how each was learnt, how long it holds, and
-- what was said of it. PostgreSQL; the same as migrations/sqlite/0008_correlation.sql.

-- A link. Of one person several ids may be known in one community, until somebody has decided.
CREATE TABLE correlation (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- UUIDv7
    patient_key BIGINT NOT NULL,           -- ours
    home TEXT COLLATE "C" NOT NULL,                     -- homeCommunityId, urn:oid:…
    domain TEXT COLLATE "C" NOT NULL,                   -- the OID of their authority
    value TEXT COLLATE "C" NOT NULL,                    -- their id
    way BIGINT NOT NULL,                   -- 1 PIX, 2 XCPD, 3 shared id, 4 by hand
    state BIGINT NOT NULL,                 -- as review_task.state: 1 候補, 2 確認待ち, 3 確定, 4 却下, 5 解除, 6 no longer
    manual BIGINT NOT NULL,                -- 1: somebody said so; no machine says otherwise
    valid_until BIGINT,                    -- none: until something else is said
    score BIGINT,                          -- 0 to 100, as they said
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (patient_key, home, domain, value)
);
CREATE INDEX correlation_foreign ON correlation (domain, value);
CREATE INDEX correlation_state ON correlation (state, id);

-- What happened to links, by whom and why. Append only.
CREATE TABLE correlation_event (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,           -- UUIDv7
    correlation_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    state BIGINT NOT NULL,                 -- from then on
    way BIGINT NOT NULL,
    valid_until BIGINT,
    who TEXT COLLATE "C" NOT NULL,                      -- a person, or the community that answered
    reason TEXT NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX correlation_event_of ON correlation_event (correlation_id, at, id);

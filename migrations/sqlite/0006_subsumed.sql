-- Ids that follow the one they were merged into are asked for by it whenever that one moves.
CREATE INDEX identity_subsumed ON identity (subsumed_into) WHERE subsumed_into IS NOT NULL;

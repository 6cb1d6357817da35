-- Room in the pages of tables whose rows are changed, so that a new version of a row lies beside the old one and the
-- indexes need not learn of it. Pages filled before keep as they are. PostgreSQL; SQLite changes rows in place, and
-- migrations/sqlite/0013_room.sql does nothing.
ALTER TABLE identity SET (fillfactor = 85);
ALTER TABLE patient SET (fillfactor = 85);
ALTER TABLE pair SET (fillfactor = 70);
ALTER TABLE review_task SET (fillfactor = 80);

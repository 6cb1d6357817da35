-- Disk: all of it, for each entry, and by table with its indexes.
SELECT n AS entries, pg_size_pretty(bytes) AS size, round(bytes::NUMERIC / n) AS octets_per_entry
    FROM (SELECT count(*) AS n FROM document_entry) d, (SELECT pg_database_size(current_database()) AS bytes) b;
SELECT relname, pg_size_pretty(pg_relation_size(oid)) AS rows, pg_size_pretty(pg_indexes_size(oid)) AS indexes,
        pg_size_pretty(pg_total_relation_size(oid)) AS total
    FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::REGNAMESPACE AND pg_relation_size(oid) > 0
    ORDER BY pg_total_relation_size(oid) DESC;

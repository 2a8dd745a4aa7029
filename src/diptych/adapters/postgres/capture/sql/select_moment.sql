-- What the running transaction sees, and a place behind every commit that it sees: a transaction is
-- in the write-ahead log before anybody sees it. No parameters, no locks.
SELECT pg_current_snapshot()::text AS seen, pg_current_wal_insert_lsn() AS upto,
    now() AS at

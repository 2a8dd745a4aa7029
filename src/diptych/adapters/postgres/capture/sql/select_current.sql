-- A place behind everything that is committed now. No locks, no reads.
SELECT pg_current_wal_flush_lsn() AS current

-- How far the write-ahead log is durable: what is behind it may be decoded. No locks, no reads.
SELECT pg_current_wal_flush_lsn() AS flushed, clock_timestamp() AS now

-- What the server says of a slot; no row: there is none of this name in any database.
-- Parameters: slot. No locks.
SELECT plugin, database = current_database() AS here, coalesce(wal_status, 'lost') AS wal_status,
    active_pid, confirmed_flush_lsn, safe_wal_size,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS retained_bytes
FROM pg_replication_slots WHERE slot_name = $1

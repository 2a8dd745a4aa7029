-- What of the server matters for capturing. No parameters, no locks.
SELECT current_setting('server_version_num')::int AS version,
    current_setting('server_version') AS version_text,
    current_setting('wal_level') AS wal_level,
    pg_is_in_recovery() AS in_recovery,
    (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS limit_mb,
    (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate

-- The columns of a table that pgoutput would send. Parameters: the table's id.
SELECT attname::text AS name, atttypid::bigint AS type FROM pg_attribute
WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum

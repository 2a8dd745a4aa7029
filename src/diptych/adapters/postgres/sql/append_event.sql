-- Parameters and locks: see create_append_event_v1.sql.
SELECT :"schema".append_event_v1($1, $2, $3, $4, $5, $6, $7)

-- No parameters, no locks.
SELECT schema_version FROM read_store

-- Which log this is, and in which shape. No parameters, no locks.
SELECT identity, schema_version, oldest_version FROM :"schema".log

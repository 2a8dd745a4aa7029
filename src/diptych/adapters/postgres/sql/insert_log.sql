-- Parameters: identity, schema version, oldest version, microseconds since 1970.
INSERT INTO :"schema".log (identity, schema_version, oldest_version, made_us)
VALUES ($1, $2, $3, $4)

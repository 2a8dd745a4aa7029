-- Parameters: identity, schema version, microseconds since 1970.
INSERT INTO log (only, identity, schema_version, made_at) VALUES (1, ?, ?, ?)

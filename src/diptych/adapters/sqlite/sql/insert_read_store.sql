-- Parameters: schema version.
INSERT INTO read_store (only, schema_version) VALUES (1, ?)

-- $1 schema version
INSERT INTO :"schema".read_store (version) VALUES ($1)

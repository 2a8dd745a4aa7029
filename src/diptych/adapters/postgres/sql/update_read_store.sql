-- $1 schema version
UPDATE :"schema".read_store SET version = $1

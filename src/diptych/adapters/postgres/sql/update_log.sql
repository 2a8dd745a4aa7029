-- Parameters: schema version, oldest version. Runs while nobody else makes objects.
UPDATE :"schema".log SET schema_version = $1, oldest_version = $2

-- The schema version of this schema's read models.
SELECT version FROM :"schema".read_store

-- The names among a JSON array that are taken in this database.
-- Parameters: JSON array of names. No locks.
SELECT name FROM sqlite_schema WHERE name IN (SELECT value FROM json_each(?))

-- What a projection has in this database: its table, and all that is named after it.
-- Parameters: JSON array of names, table. No locks.
SELECT type, name, sql FROM sqlite_schema
WHERE sql IS NOT NULL
    AND (name IN (SELECT value FROM json_each(?)) OR (tbl_name = ? AND type IN ('index', 'trigger')))

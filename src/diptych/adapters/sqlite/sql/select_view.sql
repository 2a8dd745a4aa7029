-- The text of a view. Parameters: name. No locks.
SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?

-- Parameters: JSON array of projections. Under the write lock when it decides about a change.
SELECT projection, position, epoch FROM checkpoints
WHERE projection IN (SELECT value FROM json_each(?))

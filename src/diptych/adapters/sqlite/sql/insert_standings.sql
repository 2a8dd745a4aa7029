-- The rows of projections that were never opened before. Those that have one keep it, and then
-- nothing is written. Parameters: JSON array of [projection, role]. Locks: the file's write lock.
INSERT OR IGNORE INTO checkpoints (projection, position, fingerprint, role)
SELECT value ->> 0, 0, '', value ->> 1 FROM json_each(?)

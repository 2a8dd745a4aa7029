-- A projection begins again; its lease and its role stay. Parameters: projection.
-- Locks: the file's write lock.
UPDATE checkpoints SET position = 0, fingerprint = '' WHERE projection = ?

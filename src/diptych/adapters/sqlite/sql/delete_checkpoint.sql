-- Parameters: projection. Locks: the file's write lock.
DELETE FROM checkpoints WHERE projection = ?

-- Compare and swap. Parameters: new epoch and terms, projection, expected epoch and terms.
-- Locks: the file's write lock. Plan: one row by its key.
UPDATE checkpoints SET epoch = ?, terms = ? WHERE projection = ? AND epoch = ? AND terms = ?

-- Parameters: role, name of a generation. Locks: the file's write lock.
UPDATE checkpoints SET role = ? WHERE projection = ?

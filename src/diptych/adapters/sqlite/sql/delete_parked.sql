-- All of a projection. Parameters: projection. Locks: the file's write lock.
DELETE FROM parked WHERE projection = ?

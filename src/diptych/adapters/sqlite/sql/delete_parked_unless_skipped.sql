-- What waits to be folded; a projection that begins again will see it again.
-- Parameters: projection. Locks: the file's write lock.
DELETE FROM parked WHERE projection = ? AND NOT skipped

-- Parameters: projection. No locks. One look at the key of each table.
SELECT position, fingerprint, epoch, terms, EXISTS (SELECT 1 FROM parked WHERE projection = ?1)
FROM checkpoints WHERE projection = ?1

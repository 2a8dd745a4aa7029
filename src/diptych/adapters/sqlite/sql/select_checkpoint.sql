-- Parameters: projection. No locks. Plan: one look at the key of each table.
SELECT
    position, fingerprint, epoch, terms,
    EXISTS (SELECT 1 FROM parked WHERE projection = ?1),
    role
FROM checkpoints WHERE projection = ?1

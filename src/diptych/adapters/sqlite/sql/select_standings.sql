-- As select_checkpoint, for several. Parameters: JSON array of projections. No locks.
SELECT
    projection, position, fingerprint, epoch, terms,
    EXISTS (SELECT 1 FROM parked WHERE parked.projection = checkpoints.projection),
    role
FROM checkpoints WHERE projection IN (SELECT value FROM json_each(?))

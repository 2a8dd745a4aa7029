-- Parameters: projection. No locks.
SELECT position, fingerprint FROM checkpoints WHERE projection = ?

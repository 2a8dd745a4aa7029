-- Parameters: command id. No locks.
SELECT id, digest, answer, first, count FROM commands WHERE id = ?

-- Parameters: JSON array of names of generations. Under the write lock when it decides.
SELECT projection, role, epoch FROM checkpoints WHERE projection IN (SELECT value FROM json_each(?))

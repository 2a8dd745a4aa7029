-- $1 projection, $2 role. The row that its runners will lock; one that is there stays as it is.
INSERT INTO :"schema".checkpoints (projection, role) VALUES ($1, $2) ON CONFLICT DO NOTHING

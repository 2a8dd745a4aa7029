-- $1 projection. The row that its runners will lock; one that is there stays as it is.
INSERT INTO :"schema".checkpoints (projection) VALUES ($1) ON CONFLICT DO NOTHING

-- $1 projection. Where it stands, locked until the transaction ends: a runner of another process that
-- is about to move it waits, or has moved it before. By primary key.
SELECT position, fingerprint, epoch, terms, parks, role
FROM :"schema".checkpoints WHERE projection = $1 FOR UPDATE

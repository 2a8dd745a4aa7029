-- $1 projection. By primary key.
SELECT position, fingerprint FROM :"schema".checkpoints WHERE projection = $1

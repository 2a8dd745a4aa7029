-- $1 projections. Where they stand, at one moment. By primary key.
SELECT projection, position, fingerprint, epoch, terms, parks, role
FROM :"schema".checkpoints WHERE projection = ANY ($1::text[])

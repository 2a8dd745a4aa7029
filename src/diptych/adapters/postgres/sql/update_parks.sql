-- $1 projection. Notes beside its checkpoint whether it has parked anything, after that has changed.
UPDATE :"schema".checkpoints
SET parks = EXISTS (SELECT FROM :"schema".parked WHERE projection = $1)
WHERE projection = $1

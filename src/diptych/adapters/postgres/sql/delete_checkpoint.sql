-- $1 projection. Locks its row first, as reset_checkpoint.
DELETE FROM :"schema".checkpoints WHERE projection = $1

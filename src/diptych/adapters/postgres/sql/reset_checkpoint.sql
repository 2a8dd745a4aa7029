-- $1 projection. Locks its row first: a runner that is writing finishes, and the next one finds
-- that the checkpoint has moved. Its lease and its role stay.
UPDATE :"schema".checkpoints SET position = 0, fingerprint = '' WHERE projection = $1

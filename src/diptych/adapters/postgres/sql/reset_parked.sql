-- $1 projection, $2 whether what was skipped goes, too. The caller holds the lock of the checkpoint.
DELETE FROM :"schema".parked WHERE projection = $1 AND ($2 OR NOT skipped)

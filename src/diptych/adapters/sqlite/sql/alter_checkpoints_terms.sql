-- From schema 1 to 2: so there are no terms. No parameters.
-- Locks: the file's write lock.
ALTER TABLE checkpoints ADD COLUMN terms TEXT NOT NULL DEFAULT ''

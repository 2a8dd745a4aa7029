-- From schema 1 to 2: nobody has owned a projection yet. No parameters.
-- Locks: the file's write lock.
ALTER TABLE checkpoints ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0

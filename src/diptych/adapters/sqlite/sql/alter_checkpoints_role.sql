-- From schema 1 to 2: all rows that there are were served. No parameters.
-- Locks: the file's write lock.
ALTER TABLE checkpoints ADD COLUMN role TEXT NOT NULL DEFAULT 'served'

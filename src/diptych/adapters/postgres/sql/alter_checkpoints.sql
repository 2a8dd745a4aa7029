-- From version 1 to 2. Whatever there is was served. Waits for changes that are being written, and
-- rewrites nothing; a process of version 1 that is running finds the columns it knows, as they were.
ALTER TABLE :"schema".checkpoints
ADD COLUMN epoch bigint NOT NULL DEFAULT 0,
ADD COLUMN terms text NOT NULL DEFAULT '',
ADD COLUMN role text NOT NULL DEFAULT 'served',
ADD COLUMN parks boolean NOT NULL DEFAULT false

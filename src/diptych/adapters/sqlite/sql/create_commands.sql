-- The first answer to every command whose caller gave it an id, and what it wrote.
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    answer BLOB NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT

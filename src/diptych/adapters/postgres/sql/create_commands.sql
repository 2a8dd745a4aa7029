-- The first answer to every command whose caller gave it an id, and what it wrote.
CREATE TABLE :"schema".commands (
    id text COLLATE "C" PRIMARY KEY,
    digest bytea NOT NULL,
    answer bytea NOT NULL,
    first bigint NOT NULL,
    count int NOT NULL,
    recorded_us bigint NOT NULL
)

-- The newest state of a stream, as JSON, so that loading need not begin at version 1.
CREATE TABLE :"schema".snapshots (
    stream text COLLATE "C" PRIMARY KEY,
    version int NOT NULL,
    schema bigint NOT NULL,
    state bytea NOT NULL
)

-- The events, in commit order. `position` is dense from 1 in the log, `version` in its stream. The
-- unique constraint is the last guard against lost updates, should all checks before it be wrong.
-- `data` and `meta` are JSON in UTF-8; `recorded_us` is microseconds since 1970, UTC.
-- COLLATE "C": an index must not depend on the operating system's idea of sorting.
CREATE TABLE :"schema".events (
    position bigint PRIMARY KEY,
    stream text COLLATE "C" NOT NULL,
    version int NOT NULL,
    type text COLLATE "C" NOT NULL,
    schema int NOT NULL,
    data bytea NOT NULL,
    meta bytea NOT NULL,
    recorded_us bigint NOT NULL,
    UNIQUE (stream, version)
)

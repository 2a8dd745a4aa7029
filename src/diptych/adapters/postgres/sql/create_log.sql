-- The one row that says which log this is, in which shape its tables are, and which shape a diptych
-- must know at least to use them. The position of the newest event is not kept here: a row that
-- every append updates grows a tail of dead versions as long as the oldest open snapshot lives.
CREATE TABLE :"schema".log (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    identity text NOT NULL,
    schema_version int NOT NULL,
    oldest_version int NOT NULL,
    made_us bigint NOT NULL
)

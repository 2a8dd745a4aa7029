-- What is parked or skipped. A key may be a text that PostgreSQL cannot keep as text (with U+0000 in
-- it), or that no index takes (too long): such keys are what gets parked. So `key` is its UTF-8,
-- which sorts as the text does, `lane` a digest of it and `by_stream` to find it by, and `entry` all
-- of it as JSON in ASCII, for people too: entry::json ->> 'error'.
CREATE TABLE :"schema".parked (
    projection text COLLATE "C" NOT NULL,
    lane bytea NOT NULL,
    position bigint NOT NULL,
    by_stream boolean NOT NULL,
    key bytea NOT NULL,
    skipped boolean NOT NULL,
    entry text NOT NULL,
    PRIMARY KEY (projection, lane, position)
);
CREATE INDEX parked_by_position ON :"schema".parked (projection, position)

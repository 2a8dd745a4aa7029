-- Which events carry a tag, for append conditions and filters: one row per tag of an event.
CREATE TABLE :"schema".event_tags (
    tag text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tag, position)
)

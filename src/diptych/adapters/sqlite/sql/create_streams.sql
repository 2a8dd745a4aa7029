-- Where each stream begins: the position of its first event, under which its events are indexed.
CREATE TABLE streams (
    stream TEXT PRIMARY KEY,
    origin INTEGER NOT NULL
) STRICT, WITHOUT ROWID

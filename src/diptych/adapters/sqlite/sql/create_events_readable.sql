-- The events as people want to see them in the sqlite3 shell. Nothing in diptych reads this view.
CREATE VIEW events_readable AS
SELECT
    position,
    stream,
    version,
    type,
    schema,
    CAST(data AS TEXT) AS data,
    CAST(meta AS TEXT) AS meta,
    strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at / 1e6, 'unixepoch') AS recorded_at
FROM events

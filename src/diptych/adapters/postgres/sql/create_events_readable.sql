-- The events as people want to see them in psql. Nothing in diptych reads this view.
CREATE VIEW :"schema".events_readable AS
SELECT
    position,
    stream,
    version,
    type,
    schema,
    convert_from(data, 'UTF8')::json AS data,
    convert_from(meta, 'UTF8')::json AS meta,
    timestamptz 'epoch' + recorded_us * interval '1 microsecond' AS recorded_at
FROM :"schema".events

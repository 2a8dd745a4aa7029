-- Head, and the versions of many streams in the order asked for (0: no such stream), in one step.
-- Parameters: JSON array of stream names. Runs under the write lock.
SELECT
    (SELECT coalesce(max(position), 0) FROM events),
    (
        SELECT json_group_array(
            coalesce((SELECT max(e.version) FROM events AS e WHERE e.stream = wanted.value), 0)
            ORDER BY wanted.key
        )
        FROM json_each(?) AS wanted
    )

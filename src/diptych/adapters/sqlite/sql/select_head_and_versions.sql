-- Head, and [origin, version] of many streams in the order asked for (null: no such stream), in one
-- step. Parameters: JSON array of stream names. Runs under the write lock.
SELECT
    (SELECT coalesce(max(position), 0) FROM events),
    (
        SELECT json_group_array(
            iif(
                s.origin IS NULL,
                NULL,
                json_array(
                    s.origin, (SELECT max(e.version) FROM events AS e WHERE e.origin = s.origin)
                )
            )
            ORDER BY wanted.key
        )
        FROM json_each(?) AS wanted LEFT JOIN streams AS s ON s.stream = wanted.value
    )

-- Positions of events of some types (none named: of all) that carry all of some tags.
-- Parameters: types, after, up to (positions), limit, tags. No locks. Plan: the range of the first
-- tag leads, the others are looked up.
SELECT t.position FROM :"schema".event_tags AS t
WHERE t.tag = ($5::text[])[1] AND t.position > $2 AND t.position <= $3
    AND NOT EXISTS (
        SELECT FROM unnest(($5::text[])[2:]) AS other (tag)
        WHERE NOT EXISTS (
            SELECT FROM :"schema".event_tags AS o
            WHERE o.tag = other.tag AND o.position = t.position
        )
    )
    AND (cardinality($1::text[]) = 0 OR EXISTS (
        SELECT FROM :"schema".events AS e WHERE e.position = t.position AND e.type = ANY ($1)
    ))
ORDER BY t.position LIMIT $4

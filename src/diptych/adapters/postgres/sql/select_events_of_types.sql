-- Positions of events of some types (none named: of all) in a range of the log.
-- Parameters: types, after, up to (positions), limit. No locks. Plan: a range of the primary key.
SELECT position FROM :"schema".events
WHERE position > $2 AND position <= $3 AND (cardinality($1::text[]) = 0 OR type = ANY ($1))
ORDER BY position LIMIT $4

-- The rows of projections that were never opened before. Those that have one keep it, and then
-- nothing is written. One that would be born served is not, where a generation of it is served.
-- Parameters: JSON array of [projection, role]. Locks: the file's write lock.
INSERT OR IGNORE INTO checkpoints (projection, position, fingerprint, role)
SELECT
    value ->> 0, 0, '',
    iif(
        EXISTS (
            SELECT 1 FROM checkpoints AS c
            WHERE c.role = 'served'
                AND c.projection GLOB (value ->> 0) || '__[1-9]*'
                AND NOT c.projection GLOB (value ->> 0) || '__*[^0-9]*'
        ),
        'building', value ->> 1
    )
FROM json_each(?)

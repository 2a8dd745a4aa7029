-- $1 projection, $2 role. The row that its runners will lock; one that is there stays as it is. One
-- that would be born served is not, where a generation of it is served.
INSERT INTO :"schema".checkpoints (projection, role)
SELECT
    $1,
    CASE WHEN EXISTS (
        SELECT FROM :"schema".checkpoints AS c
        WHERE c.role = 'served'
            AND left(c.projection, length($1) + 2) = $1 || '__'
            AND substr(c.projection, length($1) + 3) ~ '^[1-9][0-9]*$'
    ) THEN 'building' ELSE $2 END
ON CONFLICT DO NOTHING

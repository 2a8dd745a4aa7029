-- $1 projections, $2 where each has to stand, $3 where to, $4 fingerprints of their rows.
-- Gives where each stood, and the epoch of its lease, in the order of names; only those that stood
-- at $2 are moved. Whoever calls it takes everything back if one of them is not as it should be.
-- Locks the rows, in the order of names, until the end of the transaction: the fence between runners.
WITH stands AS MATERIALIZED (
    SELECT c.projection, c.position, c.epoch, m.after, m.upto, m.fingerprint
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
        AS m (projection, after, upto, fingerprint)
    JOIN :"schema".checkpoints AS c USING (projection)
    ORDER BY c.projection
    FOR UPDATE OF c
), moved AS (
    UPDATE :"schema".checkpoints AS c
    SET position = s.upto,
        fingerprint = CASE WHEN c.position = 0 THEN s.fingerprint ELSE c.fingerprint END
    FROM stands AS s
    WHERE c.projection = s.projection AND s.position = s.after
)
SELECT projection, position, epoch FROM stands

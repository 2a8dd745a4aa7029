-- $1 projections (each once), $2 and $3 epoch and terms that are expected, $4 and $5 those to be.
-- Gives each projection that there is, and whether its lease was as expected; only those are changed.
-- Locks the rows, in the order of names: a change being written under the lease commits before.
WITH stands AS MATERIALIZED (
    SELECT
        c.projection,
        c.epoch = m.epoch_before AND c.terms = m.terms_before AS fits,
        m.epoch_after,
        m.terms_after
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])
        AS m (projection, epoch_before, terms_before, epoch_after, terms_after)
    JOIN :"schema".checkpoints AS c USING (projection)
    ORDER BY c.projection
    FOR UPDATE OF c
), swapped AS (
    UPDATE :"schema".checkpoints AS c
    SET epoch = s.epoch_after, terms = s.terms_after
    FROM stands AS s
    WHERE c.projection = s.projection AND s.fits
)
SELECT projection, fits FROM stands

-- The events that append conditions forbid: one for each violated filter.
-- Parameters: conditions, as append_batch_v1 describes them. Runs under the log's lock.
-- Plan: with tags, the range of the first tag leads and the others are looked up; with types only,
-- every event after the position is looked at.
CREATE FUNCTION :"schema".violations_v1(p_conditions jsonb, OUT member int, OUT "position" bigint)
RETURNS SETOF record LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_filter record;
BEGIN
    FOR v_filter IN
        SELECT f.member, f.after, f.types, f.tags
        FROM jsonb_to_recordset(p_conditions) AS f (member int, after bigint, types text[], tags text[])
    LOOP
        member := v_filter.member;
        IF cardinality(v_filter.tags) > 0 THEN
            "position" := (
                SELECT t.position FROM :"schema".event_tags AS t
                WHERE t.tag = v_filter.tags[1] AND t.position > v_filter.after
                    AND NOT EXISTS (
                        SELECT FROM unnest(v_filter.tags[2:]) AS other (tag)
                        WHERE NOT EXISTS (
                            SELECT FROM :"schema".event_tags AS o
                            WHERE o.tag = other.tag AND o.position = t.position
                        )
                    )
                    AND (cardinality(v_filter.types) = 0 OR EXISTS (
                        SELECT FROM :"schema".events AS e
                        WHERE e.position = t.position AND e.type = ANY (v_filter.types)
                    ))
                ORDER BY t.position LIMIT 1
            );
        ELSE
            "position" := (
                SELECT e.position FROM :"schema".events AS e
                WHERE e.position > v_filter.after
                    AND (cardinality(v_filter.types) = 0 OR e.type = ANY (v_filter.types))
                ORDER BY e.position LIMIT 1
            );
        END IF;
        IF "position" IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$

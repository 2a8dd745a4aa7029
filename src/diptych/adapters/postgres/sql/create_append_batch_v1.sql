-- Many appends in one step: each is checked on its own, the good ones are written.
--
-- The caller sees to it that no member depends on another one of the batch; what was refused, and
-- why, is told apart by the caller. In this order a member is refused: its command id is known, a
-- stream of it stands elsewhere, its condition is violated.
--
-- Parameters (p_): arrays that belong together begin with the same word; a word that does not occur
-- is NULL as a whole. member: number of the append, from 1. part: number of the (append, stream)
-- pair, from 1. event: number of the event, from 1.
--   part_:      member, stream, expected version (-1: any). NULL where every part is a member of one
--               event: then events say the stream.
--   event_:     part, number within the stream from 1 (both NULL where part and event are one), stream,
--               type, schema, data, meta, microseconds since 1970. One schema, one time: the same for
--               all.
--   tag_:       event, tag
--   command_:   member, id, digest, answer, first event (NULL: none), number of events, microseconds
--   snapshot_:  member, stream, version, schema, state
--   conditions: [{"member", "after", "types", "tags"}, ...], one per filter
--
-- Returns the head before, and, where anything was refused: the members refused, the version at
-- which each part's stream stands, the members whose command id is known, the members whose condition
-- is violated and by which position.
--
-- Locks: the log's own advisory lock until the transaction ends, so that positions become visible
-- in ascending order and without holes. Every statement after it needs a snapshot of its own, hence
-- READ COMMITTED. Plans: always by index, made once; see the settings.
CREATE FUNCTION :"schema".append_batch_v1(
    p_part_member int[], p_part_stream text[], p_part_expected int[],
    p_event_part int[], p_event_number int[], p_event_stream text[], p_event_type text[],
    p_event_schema int[], p_event_data bytea[], p_event_meta bytea[], p_event_us bigint[],
    p_tag_event int[], p_tag text[],
    p_command_member int[], p_command_id text[], p_command_digest bytea[], p_command_answer bytea[],
    p_command_event int[], p_command_events int[], p_command_us bigint[],
    p_snapshot_member int[], p_snapshot_stream text[], p_snapshot_version int[],
    p_snapshot_schema bigint[], p_snapshot_state bytea[],
    p_conditions jsonb,
    OUT head bigint, OUT refused int[], OUT standing int[], OUT known int[],
    OUT violated int[], OUT violation bigint[]
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_rank int[];  -- number of each event among those that are written; NULL: as they come
    v_written bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append in a transaction of isolation level READ COMMITTED'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM pg_advisory_xact_lock(-(:'log'::regclass::oid::bigint) - 2);

    head := coalesce((
        SELECT e.position FROM :"schema".events AS e ORDER BY e.position DESC LIMIT 1
    ), 0);
    standing := ARRAY(
        SELECT coalesce((
            SELECT e.version FROM :"schema".events AS e WHERE e.stream = part.stream
            ORDER BY e.version DESC LIMIT 1
        ), 0)
        FROM unnest(coalesce(p_part_stream, p_event_stream)) WITH ORDINALITY AS part (stream, number)
        ORDER BY part.number
    );

    -- Who is refused?
    IF standing <> p_part_expected THEN
        refused := ARRAY(
            SELECT coalesce(p_part_member[part.number], part.number)
            FROM unnest(p_part_expected, standing) WITH ORDINALITY
                AS part (expected, standing, number)
            WHERE part.expected <> part.standing AND part.expected <> -1
        );
    END IF;
    IF p_command_id IS NOT NULL THEN
        known := ARRAY(
            SELECT asked.member
            FROM unnest(p_command_member, p_command_id) AS asked (member, id)
            JOIN :"schema".commands AS c ON c.id = asked.id
        );
        refused := refused || known;
    END IF;
    IF p_conditions IS NOT NULL THEN
        SELECT array_agg(found.member), array_agg(found.position)
        INTO violated, violation
        FROM :"schema".violations_v1(p_conditions) AS found;
        refused := refused || violated;
    END IF;
    IF cardinality(refused) > 0 THEN
        v_rank := ARRAY(
            SELECT CASE WHEN event.good THEN
                count(*) FILTER (WHERE event.good) OVER (ORDER BY event.number)
            END
            FROM (
                SELECT
                    number,
                    coalesce(p_part_member[coalesce(part, number)], coalesce(part, number))
                    <> ALL (refused) AS good
                FROM unnest(p_event_part, p_event_data) WITH ORDINALITY AS e (part, _, number)
            ) AS event
            ORDER BY event.number
        );
    ELSE
        refused := NULL;
    END IF;

    -- Write what is good.
    INSERT INTO :"schema".events
    SELECT
        head + CASE WHEN v_rank IS NULL THEN e.event ELSE v_rank[e.event] END,
        e.stream,
        standing[coalesce(e.part, e.event)] + coalesce(e.number, 1),
        e.type, coalesce(e.schema, p_event_schema[1]), e.data, e.meta, coalesce(e.us, p_event_us[1])
    FROM unnest(
        p_event_part, p_event_number, p_event_stream, p_event_type, p_event_schema, p_event_data,
        p_event_meta, p_event_us
    ) WITH ORDINALITY AS e (part, number, stream, type, schema, data, meta, us, event)
    WHERE v_rank IS NULL OR v_rank[e.event] IS NOT NULL;
    GET DIAGNOSTICS v_written = ROW_COUNT;
    IF p_tag IS NOT NULL THEN
        INSERT INTO :"schema".event_tags (tag, position)
        SELECT t.tag, head + CASE WHEN v_rank IS NULL THEN t.event ELSE v_rank[t.event] END
        FROM unnest(p_tag_event, p_tag) AS t (event, tag)
        WHERE v_rank IS NULL OR v_rank[t.event] IS NOT NULL;
    END IF;
    IF p_command_id IS NOT NULL THEN
        INSERT INTO :"schema".commands (id, digest, answer, first, count, recorded_us)
        SELECT
            c.id, c.digest, c.answer,
            coalesce(
                head + CASE WHEN v_rank IS NULL THEN c.event ELSE v_rank[c.event] END, 0
            ),
            c.events, c.us
        FROM unnest(
            p_command_member, p_command_id, p_command_digest, p_command_answer, p_command_event,
            p_command_events, p_command_us
        ) AS c (member, id, digest, answer, event, events, us)
        WHERE refused IS NULL OR c.member <> ALL (refused);
    END IF;
    IF p_snapshot_stream IS NOT NULL THEN
        -- Of several for one stream the highest version counts, and of one version the last. The
        -- same version again, in a newer shape, replaces: after an upgrade states are stored anew.
        INSERT INTO :"schema".snapshots AS kept (stream, version, schema, state)
        SELECT DISTINCT ON (s.stream) s.stream, s.version, s.schema, s.state
        FROM unnest(
            p_snapshot_member, p_snapshot_stream, p_snapshot_version, p_snapshot_schema,
            p_snapshot_state
        ) WITH ORDINALITY AS s (member, stream, version, schema, state, number)
        WHERE refused IS NULL OR s.member <> ALL (refused)
        ORDER BY s.stream, s.version DESC, s.number DESC
        ON CONFLICT (stream) DO UPDATE
        SET version = excluded.version, schema = excluded.schema, state = excluded.state
        WHERE excluded.version >= kept.version;
    END IF;
    IF refused IS NULL THEN
        standing := NULL;
    END IF;
    IF v_written > 0 THEN
        PERFORM pg_notify(:'channel', (head + v_written)::text);
    END IF;
END
$$

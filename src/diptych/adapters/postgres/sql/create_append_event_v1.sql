-- One event at the end of a stream: the road of a lone append, with as few steps as possible.
-- Parameters: stream, expected version (-1: any), type, schema, data, meta, microseconds since 1970.
-- Returns its position; or -1 - v when the stream stands at version v, and nothing was written.
-- Locks and settings: as append_batch_v1.
CREATE FUNCTION :"schema".append_event_v1(
    p_stream text, p_expected int, p_type text, p_schema int, p_data bytea, p_meta bytea,
    p_recorded_us bigint
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_version int;
    v_position bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append in a transaction of isolation level READ COMMITTED'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM pg_advisory_xact_lock(-(:'log'::regclass::oid::bigint) - 2);
    v_version := coalesce((
        SELECT e.version FROM :"schema".events AS e WHERE e.stream = p_stream
        ORDER BY e.version DESC LIMIT 1
    ), 0);
    IF p_expected <> v_version AND p_expected <> -1 THEN
        RETURN -1 - v_version;
    END IF;
    v_position := 1 + coalesce((
        SELECT e.position FROM :"schema".events AS e ORDER BY e.position DESC LIMIT 1
    ), 0);
    INSERT INTO :"schema".events
    VALUES (
        v_position, p_stream, v_version + 1, p_type, p_schema, p_data, p_meta, p_recorded_us
    );
    PERFORM pg_notify(:'channel', v_position::text);
    RETURN v_position;
END
$$

-- What the triggers on events call: what happened is never changed or removed.
CREATE FUNCTION :"schema".refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or removed: append another one that corrects it'
        USING ERRCODE = 'restrict_violation';
END
$$

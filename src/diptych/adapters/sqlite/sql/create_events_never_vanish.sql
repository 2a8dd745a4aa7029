-- What happened is never removed; and max(position) can never move back.
CREATE TRIGGER events_never_vanish BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never removed: append another one that corrects it');
END

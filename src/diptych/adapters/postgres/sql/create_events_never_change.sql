-- What happened is never changed, removed or emptied; and the newest position never moves back.
CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".events
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse_change()

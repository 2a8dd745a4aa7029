-- Tables in the schema that are not the log's and belong to whoever asks. No parameters, no locks.
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace(quote_ident(:'schema'))
    AND c.relkind IN ('r', 'p')
    AND c.relname <> ALL ('{log,events,event_tags,commands,snapshots}')
    AND pg_get_userbyid(c.relowner) = current_user

-- What an application's role needs: reading everything in the schema, appending through functions,
-- and making tables for read models beside the log. Nothing that could change what happened.
-- The functions run as their owner with a fixed search path, so objects that the role makes in the
-- schema are never taken for others.
-- Names: role. Locks: none that anybody waits for.
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
REVOKE INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES
ON :"schema".log, :"schema".events, :"schema".event_tags, :"schema".commands, :"schema".snapshots
FROM :"role", PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" TO :"role"

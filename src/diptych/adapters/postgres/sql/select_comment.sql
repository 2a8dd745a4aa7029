-- $1 name. What stands in the comment of a table or view of the schema.
SELECT obj_description(oid, 'pg_class') FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :'schema') AND relname = $1

-- $1 names. What the schema holds under these names: table (r, p), view (v, m), index (i), sequence (S).
SELECT relname AS name, relkind::text AS kind
FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :'schema')
    AND relname = ANY ($1::text[])

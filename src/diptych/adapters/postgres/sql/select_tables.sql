-- The names among an array that are taken in the schema. Parameters: names. No locks.
SELECT c.relname FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = :'schema' AND c.relname = ANY ($1::text[])

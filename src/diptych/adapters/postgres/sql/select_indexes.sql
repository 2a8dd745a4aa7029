-- $1 table. Those of its indexes that diptych made, by their comment.
SELECT c.relname AS name
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = format('%I.%I', :'schema'::text, $1::text)::regclass
    AND obj_description(i.indexrelid, 'pg_class') = 'made by diptych'

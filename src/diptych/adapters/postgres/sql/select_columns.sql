-- $1 table. Its columns, with what diptych has noted about them.
SELECT a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull AS filled,
    coalesce(a.attnum = ANY (i.indkey), false) AS is_key,
    col_description(a.attrelid, a.attnum) AS note
FROM pg_attribute AS a
LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = format('%I.%I', :'schema'::text, $1::text)::regclass
    AND a.attnum > 0 AND NOT a.attisdropped

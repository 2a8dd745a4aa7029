-- The tables that mappings name, with what the capture must know of them.
-- Parameters: names, as in SQL, with or without a schema (text[]). No locks. Catalog lookups.
-- `without_identity`: the table, or a partition of it, whose updates and deletes cannot be told
-- apart, and which PostgreSQL would refuse to update as soon as it is published.
-- `without_old_rows`: the same for replica identities other than FULL.
SELECT wanted.name, class.oid::bigint AS id, space.nspname AS schema, class.relname AS relation,
    class.relkind::text AS kind, class.relpersistence::text AS persistence,
    ARRAY(
        SELECT attribute.attname::text FROM pg_index AS index
        JOIN pg_attribute AS attribute
            ON attribute.attrelid = index.indrelid AND attribute.attnum = ANY (index.indkey)
        WHERE index.indrelid = class.oid AND index.indisprimary
        ORDER BY array_position(index.indkey::smallint[], attribute.attnum)
    ) AS key,
    ARRAY(
        SELECT leaf.oid::regclass::text FROM pg_class AS leaf
        WHERE leaf.oid IN (
            SELECT relid FROM pg_partition_tree(class.oid) WHERE isleaf
            UNION ALL SELECT class.oid WHERE class.relkind = 'r'
        )
        AND NOT CASE leaf.relreplident
            WHEN 'f' THEN true
            WHEN 'd' THEN EXISTS (
                SELECT FROM pg_index WHERE indrelid = leaf.oid AND indisprimary
            )
            WHEN 'i' THEN EXISTS (
                SELECT FROM pg_index WHERE indrelid = leaf.oid AND indisreplident
            )
            ELSE false
        END
    ) AS without_identity,
    ARRAY(
        SELECT leaf.oid::regclass::text FROM pg_class AS leaf
        WHERE leaf.oid IN (
            SELECT relid FROM pg_partition_tree(class.oid) WHERE isleaf
            UNION ALL SELECT class.oid WHERE class.relkind = 'r'
        )
        AND leaf.relreplident <> 'f'
    ) AS without_old_rows
FROM unnest($1::text[]) AS wanted (name)
LEFT JOIN pg_class AS class ON class.oid = to_regclass(wanted.name)
LEFT JOIN pg_namespace AS space ON space.oid = class.relnamespace

-- The identity of this schema's read models; NULL where there are none.
SELECT obj_description(to_regclass(format('%I.read_store', :'schema'::text)), 'pg_class')

-- $1 names of generations, $2 their new roles. In the transaction that has locked them.
UPDATE :"schema".checkpoints AS c SET role = n.role
FROM unnest($1::text[], $2::text[]) AS n (projection, role) WHERE c.projection = n.projection

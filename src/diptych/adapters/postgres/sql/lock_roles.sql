-- $1 names of generations. Their roles and epochs; locks the rows, in the order of names, until the end of the
-- transaction.
SELECT projection, role, epoch FROM :"schema".checkpoints
WHERE projection = ANY ($1::text[]) ORDER BY projection FOR UPDATE

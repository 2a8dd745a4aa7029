-- The comment of the log of a schema in this database (NULL: there is none), and how isolated this
-- transaction is. Parameters: the log's table. No locks, and no error in somebody's transaction.
SELECT obj_description(to_regclass($1), 'pg_class'), current_setting('transaction_isolation')

-- The process that answers this first, then those of the processes $1 (int[]) that are at work on a
-- statement.
-- Locks: none. Plan: the few rows of a view of the server's memory.
SELECT pid FROM (
    SELECT pg_backend_pid() AS pid, 0 AS turn
    UNION ALL
    SELECT a.pid, 1 FROM pg_stat_activity AS a
    WHERE a.pid = ANY ($1::int[]) AND a.state IN ('active', 'fastpath function call')
) AS found
ORDER BY turn

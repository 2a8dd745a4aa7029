-- Who keeps appends waiting. No parameters, takes no locks. Looks at the server's sessions and at the
-- locks that are held, never at a table of ours.
-- One row per session that holds the append lock, or that such a one waits for in turn: pid (0: a
-- prepared transaction), depth (0: it holds the lock itself), program, what it does (NULL: hidden from
-- this user), and for how long, in seconds: the longest wait of anybody in this queue, or for how long
-- the session has done nothing with the lock in hand.
WITH RECURSIVE append_lock AS (
    SELECT lock.pid, lock.granted, lock.waitstart
    FROM pg_locks AS lock, pg_class AS log
    WHERE log.relname = 'log'
    AND log.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :'schema')
    AND lock.locktype = 'advisory' AND lock.objsubid = 1
    AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (lock.classid::bigint << 32 | lock.objid::bigint) = -(log.oid::bigint) - 2
),
chain (pid, depth) AS (
    SELECT coalesce(pid, 0), 0 FROM append_lock WHERE granted
    UNION
    SELECT further.pid, chain.depth + 1
    FROM chain, unnest(pg_blocking_pids(chain.pid)) AS further (pid)
    WHERE chain.depth < 8
),
longest_wait AS (
    SELECT extract(epoch FROM clock_timestamp() - min(waiting.waitstart)) AS seconds
    FROM (
        SELECT waitstart FROM append_lock
        UNION ALL SELECT lock.waitstart FROM pg_locks AS lock JOIN chain USING (pid)
    ) AS waiting
)
SELECT chain.pid, chain.depth, activity.application_name AS program, activity.state AS does,
    greatest(
        longest_wait.seconds,
        CASE WHEN activity.state LIKE 'idle in transaction%' THEN
            extract(epoch FROM clock_timestamp() - activity.state_change)
        END,
        0
    )::float8 AS seconds
FROM chain CROSS JOIN longest_wait LEFT JOIN pg_stat_activity AS activity USING (pid)
ORDER BY chain.depth DESC, chain.pid

-- Who keeps the writes to read models waiting. $1: the application name of sessions that write. No
-- locks. Looks at the server's sessions and at the locks that are held, never at a table of ours.
-- Rows as those of select_append_obstacle.sql; depth counts from the session of ours that waits.
-- Who waits to append is left out: that is told there.
WITH RECURSIVE waiting AS (
    SELECT lock.pid, lock.waitstart
    FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
    WHERE NOT lock.granted AND lock.locktype <> 'advisory'
    AND activity.application_name = $1 AND activity.datname = current_database()
),
chain (pid, depth) AS (
    SELECT pid, 0 FROM waiting
    UNION
    SELECT further.pid, chain.depth + 1
    FROM chain, unnest(pg_blocking_pids(chain.pid)) AS further (pid)
    WHERE chain.depth < 8
)
SELECT chain.pid, chain.depth, activity.application_name AS program, activity.state AS does,
    coalesce((
        SELECT extract(epoch FROM clock_timestamp() - min(waiting.waitstart)) FROM waiting
    ), 0)::float8 AS seconds
FROM chain LEFT JOIN pg_stat_activity AS activity USING (pid)
ORDER BY chain.depth DESC, chain.pid

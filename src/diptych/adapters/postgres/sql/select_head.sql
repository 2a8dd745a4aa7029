-- The highest position; one look at the right edge of the table. No parameters, no locks.
SELECT coalesce((
    SELECT position FROM :"schema".events ORDER BY position DESC LIMIT 1
), 0)

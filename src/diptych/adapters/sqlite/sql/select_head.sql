-- The highest position; one look at the right edge of the table. No parameters, no locks.
SELECT coalesce(max(position), 0) FROM events

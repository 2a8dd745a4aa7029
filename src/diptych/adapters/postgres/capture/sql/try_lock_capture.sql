-- Whether this connection is the one that captures now, until it ends. Parameters: slot.
SELECT pg_try_advisory_lock(hashtextextended('diptych capture ' || $1, 0))

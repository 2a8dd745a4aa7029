-- Makes the slot; waits for every transaction that writes now to end. Parameters: slot.
SELECT lsn FROM pg_create_logical_replication_slot($1, 'pgoutput')

-- Marks the running transaction as one whose events are recorded already. No locks.
SELECT pg_logical_emit_message(true, 'diptych', '')

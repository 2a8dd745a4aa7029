-- Lets go of everything before a place; does nothing where the slot is there already.
-- Parameters: slot, upto (pg_lsn). Locks the slot.
SELECT pg_replication_slot_advance($1, $2::pg_lsn) FROM pg_replication_slots
WHERE slot_name = $1 AND confirmed_flush_lsn < $2::pg_lsn

-- Remembers the first snapshot of the beginning, and only that. Parameters: slot, seen, seen_upto.
UPDATE :"schema".captures SET seen = $2, seen_upto = $3 WHERE slot = $1 AND seen IS NULL

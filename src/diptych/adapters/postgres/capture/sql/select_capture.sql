-- The record of a slot. Parameters: slot. Plan: primary key.
SELECT generation, log, state, with_rows, seen, seen_upto FROM :"schema".captures WHERE slot = $1

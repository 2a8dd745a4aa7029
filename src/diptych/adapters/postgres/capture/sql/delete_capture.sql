-- Forgets a slot. Parameters: slot.
DELETE FROM :"schema".captures WHERE slot = $1

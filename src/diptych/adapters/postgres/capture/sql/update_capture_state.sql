-- How far the beginning has come. Parameters: slot, state.
UPDATE :"schema".captures SET state = $2 WHERE slot = $1

-- Writes the record of a slot anew. Parameters: slot, generation, log, with_rows.
INSERT INTO :"schema".captures (slot, generation, log, state, with_rows)
VALUES ($1, $2, $3, 'starting', $4)
ON CONFLICT (slot) DO UPDATE SET generation = $2, log = $3, state = 'starting', with_rows = $4,
    seen = NULL, seen_upto = NULL

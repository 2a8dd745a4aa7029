-- As append_batch, in somebody else's transaction: marked, so that a capture of the tables it writes
-- to leaves it out. It has its events already.
SELECT
    head, refused, standing, known, violated, violation,
    pg_logical_emit_message(true, 'diptych', '')
FROM :"schema".append_batch_v1(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    $22, $23, $24, $25, $26
)

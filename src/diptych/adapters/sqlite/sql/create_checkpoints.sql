-- How far each projection has come, beside its rows. No row: it was never applied.
CREATE TABLE checkpoints (
    projection TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT, WITHOUT ROWID

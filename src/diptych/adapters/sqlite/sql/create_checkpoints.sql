-- How far each projection has come, beside its rows, with its lease (epoch and terms) and its role.
-- It has a row from the moment it was opened; position 0: it was never applied.
CREATE TABLE checkpoints (
    projection TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    terms TEXT NOT NULL DEFAULT '',
    role TEXT NOT NULL DEFAULT 'served'
) STRICT, WITHOUT ROWID

-- Where each projection stands; a row from its first opening on, so that two runners always meet
-- at its lock. `fingerprint` is that of the projection that made the rows, '' as long as there are
-- none. Half of each page is left free: every batch changes its row, and finds room beside it.
CREATE TABLE :"schema".checkpoints (
    projection text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    fingerprint text NOT NULL DEFAULT ''
) WITH (fillfactor = 50)

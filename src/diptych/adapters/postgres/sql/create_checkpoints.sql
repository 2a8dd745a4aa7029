-- Where each projection stands; a row from its first opening on, so that two runners always meet
-- at its lock. `fingerprint` is that of the projection that made the rows, '' as long as there are
-- none. `epoch` and `terms` are its lease, `role` is what its rows are for, `parks` says whether
-- `parked` has rows of it: all in the row that everybody locks. Half of each page is left free: every
-- batch changes its row, and finds room beside it.
CREATE TABLE :"schema".checkpoints (
    projection text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    fingerprint text NOT NULL DEFAULT '',
    epoch bigint NOT NULL DEFAULT 0,
    terms text NOT NULL DEFAULT '',
    role text NOT NULL DEFAULT 'served',
    parks boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50)

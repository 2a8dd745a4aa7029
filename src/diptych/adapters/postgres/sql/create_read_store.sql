-- What this schema's read models are: one row. Its comment is the identity of these read models,
-- by which a connection is known to lead to them.
CREATE TABLE :"schema".read_store (version integer NOT NULL)

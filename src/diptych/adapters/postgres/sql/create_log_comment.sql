-- The log's name where anybody can read it without failing when there is none.
COMMENT ON TABLE :"schema".log IS :'comment'

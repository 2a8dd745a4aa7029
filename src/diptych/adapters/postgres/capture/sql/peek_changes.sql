-- The changes that the slot holds, in the order of commits, without consuming them.
-- Parameters: slot, upto (pg_lsn), rows after which no further transaction is begun, publication.
-- Locks the slot while the server decodes, which it does before the first row is sent; the rows
-- then wait on the server, on disk if they are many.
-- Transactions that carry our mark are left out, except for their descriptions of tables (R), which
-- are sent once per call. The last row has no data: how many rows there were in all, and the end of
-- the last transaction.
WITH looked AS MATERIALIZED (
    SELECT lsn, xid, data FROM pg_logical_slot_peek_binary_changes(
        $1, $2::pg_lsn, $3,
        'proto_version', '1', 'publication_names', $4, 'messages', 'true'
    )
), own AS MATERIALIZED (
    SELECT DISTINCT xid FROM looked
    WHERE get_byte(data, 0) = ascii('M') AND substring(data FROM 11 FOR 8) = '\x6469707479636800'
)
SELECT NULL::bigint AS rows, NULL::pg_lsn AS upto, data FROM looked
WHERE xid NOT IN (SELECT xid FROM own) OR get_byte(data, 0) = ascii('R')
UNION ALL SELECT count(*), max(lsn), NULL FROM looked

-- What a publication publishes; no row: there is none. Parameters: name. No locks.
SELECT puballtables AS everything,
    pubinsert AND pubupdate AND pubdelete AND pubtruncate AS all_operations, pubviaroot AS via_root,
    ARRAY(SELECT prrelid::bigint FROM pg_publication_rel WHERE prpubid = publication.oid) AS tables
FROM pg_publication AS publication WHERE pubname = $1

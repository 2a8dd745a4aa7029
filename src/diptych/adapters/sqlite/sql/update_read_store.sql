-- Parameters: schema version. Locks: the file's write lock.
UPDATE read_store SET schema_version = ?

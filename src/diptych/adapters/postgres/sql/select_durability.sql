-- What a commit of this connection waits for. No parameters, no locks.
SELECT current_setting('synchronous_commit'), current_setting('fsync')

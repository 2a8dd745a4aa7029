"""SQLite: the log and read models in one file, for any number of processes on one machine."""

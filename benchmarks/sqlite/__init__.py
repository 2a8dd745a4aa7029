"""On SQLite: WAL, and every commit reaches the disk."""

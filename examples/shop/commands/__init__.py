"""The left panel: it decides. One aggregate per file; `check_out` is about three at once."""

"""One folder per technology, the same file names in each: a missing file is a missing capability.

`event_log` keeps the log, `read_store` keeps read models. An adapter knows ports and its own
driver; it knows no other adapter. The application picks one by the scheme of its URL.
"""

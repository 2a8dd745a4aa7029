"""Memory: log and read models in plain dicts and lists, for tests, examples and first steps.

Reading order: `event_log`, `read_store`, `rows` (what it keeps of one projection), `transaction`
(what lets rows commit with the events they came from). These adapters keep every guarantee of their
ports except durability: after `close` everything is gone. They are the reference the other adapters
are compared with, so they say what they do as plainly as they can. One event loop at a time; no
operation awaits half-way, which is what makes each of them atomic.
"""

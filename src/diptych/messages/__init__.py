"""What travels: commands, queries and events, and how they become bytes.

Reading order: `kinds` (the three kinds of message), `envelope` (what is recorded around an event),
`codec` (message to bytes and back), `registry` (stable names and versions), `upcaster` (old stored
shapes to new ones). Nothing here waits, looks at a clock, or knows a store.
"""

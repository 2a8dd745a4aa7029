"""PostgreSQL: the log and read models in one schema, for any number of processes and machines.

Reading order: `event_log` and `read_store` (what the application uses), `url` (which schema of
which database), `database` (what they share: one per schema and event loop), `connection`,
`connecting` and `pool`. Writing the log: `jobs`, `writer` (a queue and a short cut), `dependence`
(who may share a batch), `append_batch`, `writing_connection`, `hot_streams`, `looking_ahead`,
`append_within`. Reading it: `reader`, `head`. Its tables: `migrations`, `grant_application`.
`errors` says what the driver's errors mean. `sql/` holds every fixed statement and object.
"""

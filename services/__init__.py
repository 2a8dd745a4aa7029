"""Real servers for tests and benchmarks, without containers: `python -m services up`.

A development tool: it stands beside the library, uses the standard library only, and is in no
wheel. Reading order: `__main__` (the list of engines), `addresses` (what is up, as a file),
`account` (who runs a server), `processes` and `ports`, then one folder per engine.
"""

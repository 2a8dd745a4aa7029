"""Real processes on real stores, killed, stopped and restarted by chance; what they saw is checked
afterwards. `python -m tests.nemesis --help`.
"""

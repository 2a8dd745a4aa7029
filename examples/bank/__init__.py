"""An account in one file: decide, remember, answer. Read bank.py from top to bottom."""

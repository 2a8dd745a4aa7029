"""`python -m diptych.cli`, where the program `diptych` is not on the path."""

from __future__ import annotations

from diptych.cli import main

if __name__ == "__main__":
    main()

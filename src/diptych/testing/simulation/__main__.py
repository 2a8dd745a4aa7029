"""Replay one seed, or run many: `python -m diptych.testing.simulation 7 --trace`."""

from __future__ import annotations

from diptych.testing.simulation.command_line import main

if __name__ == "__main__":
    main()

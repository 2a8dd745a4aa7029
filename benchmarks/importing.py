"""How long does `import diptych` take? Every command line call and every test run pays it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from benchmarks.clocks import stopwatch
from benchmarks.measuring import Benchmark, NotAvailableError, Sample, Scale, Target

NOTHING = "python -c pass"
WALL = "import diptych, wall"
INSIDE = "import diptych, by -X importtime"


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Measure a new interpreter that imports diptych, against one that does nothing."""
    del folder
    starts = scale.pick(3, 15)
    return Benchmark(
        name="import",
        unit="ms",
        variants={
            NOTHING: lambda: starting("pass", starts),
            WALL: lambda: starting(importing_diptych(), starts),
            INSIDE: lambda: import_time(importing_diptych()),
        },
        targets=[
            Target("import diptych, over an empty start", WALL, NOTHING, "difference"),
            Target("import diptych, by -X importtime", INSIDE, relation="value"),
        ],
    )


def importing_diptych() -> str:
    """Give the statement, once there is something to import."""
    if importlib.util.find_spec("diptych") is None:
        raise NotAvailableError("diptych is not installed in this environment")
    return "import diptych"


def starting(statement: str, starts: int) -> Sample:
    """Start an interpreter some times, one after the other; milliseconds each."""
    with stopwatch() as watch:
        for _ in range(starts):
            python("-c", statement)
    return Sample(watch.wall_s * 1e3 / starts)


def import_time(statement: str) -> Sample:
    """Ask the interpreter itself: cumulative milliseconds of the import, the slowest parts."""
    lines = python("-X", "importtime", "-c", statement).splitlines()
    modules = []
    for line in lines:
        own, _, rest = line.removeprefix("import time:").partition("|")
        total, _, name = rest.partition("|")
        if own.strip().isdigit():
            modules.append((int(own), int(total), name.strip()))
    slowest = sorted(modules, reverse=True)[:10]
    return Sample(
        modules[-1][1] / 1e3,
        details={
            "modules": len(modules),
            "slowest_us": {name: own for own, _, name in slowest},
        },
    )


def python(*arguments: str) -> str:
    """Run this interpreter; what it wrote to standard error."""
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
    return done.stderr

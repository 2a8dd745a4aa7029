"""How many commands per second, from end to end?

A command loads an account of six events, decides, and appends one event durably. Each account gets
one command, so no side pays for conflicts. diptych keeps 64 commands in flight; the peer blocks, so
it is given threads, and the number of threads that suits it best counts.
"""

import tempfile
from pathlib import Path

import msgspec

from benchmarks.accounts import EVENTS_BEFORE, Deposited, Withdrawn, withdraw_from_each
from benchmarks.clocks import stopwatch
from benchmarks.events import META, RECORDED_AT
from benchmarks.measuring import Benchmark, Sample, Scale, Target
from benchmarks.peers import run_peer
from benchmarks.sqlite.events_file import INSERT, READ_STREAM, open_apsw

BY_HAND = "by hand, one after the other"
PEER_ONE = "eventsourcing, one thread"
PEER_BEST = "eventsourcing, its best number of threads"


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare commands on accounts with the peer's, and with the same by hand."""
    commands = scale.pick(500, 4_000)
    # What suits a peer best is looked for on every repetition: it depends on the load.
    many = scale.pick([4, 16], [2, 4, 8, 16, 64])
    return Benchmark(
        name="sqlite.commands",
        unit="commands/s",
        variants={
            BY_HAND: lambda: one_after_the_other(folder, commands),
            PEER_ONE: lambda: eventsourcing(folder, commands, [1]),
            "diptych, 64 in flight": lambda: diptych(folder, commands * scale.pick(1, 4)),
            PEER_BEST: lambda: eventsourcing(folder, commands, [1, *many]),
        },
        targets=[
            Target("commands, 64 in flight", "diptych, 64 in flight", PEER_BEST, at_least=5),
            Target("commands, 64 in flight", "diptych, 64 in flight", PEER_ONE),
            Target("commands, 64 in flight", "diptych, 64 in flight", BY_HAND),
        ],
    )


def one_after_the_other(folder: Path, commands: int) -> Sample:
    """Load, decide and commit with nothing between Python and SQLite."""
    encode = msgspec.json.Encoder().encode
    deposited = msgspec.json.Decoder(Deposited).decode
    withdrawn = msgspec.json.Decoder(Withdrawn).decode
    deposit = encode(Deposited(100))
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        db = open_apsw(Path(fresh) / "accounts.db")
        with db:
            db.executemany(
                INSERT,
                (
                    (f"account-{number}", version, "Deposited", 1, deposit, META, RECORDED_AT)
                    for number in range(commands)
                    for version in range(1, EVENTS_BEFORE + 1)
                ),
            )
        with stopwatch() as watch:
            for number in range(commands):
                stream, balance, last = f"account-{number}", 0, 0
                for version, kind, data in db.execute(READ_STREAM, (stream,)):
                    if kind == "Deposited":
                        balance += deposited(data).amount
                    else:
                        balance -= withdrawn(data).amount
                    last = version
                if balance < EVENTS_BEFORE:
                    raise ValueError("the balance is too low")
                row = encode(Withdrawn(EVENTS_BEFORE))
                db.execute("BEGIN IMMEDIATE")
                db.execute(INSERT, (stream, last + 1, "Withdrawn", 1, row, META, RECORDED_AT))
                db.execute("COMMIT")
        db.close()
    return watch.rate(commands)


def eventsourcing(folder: Path, commands: int, threads: list[int]) -> Sample:
    """Let eventsourcing do it with each number of threads; the best of them counts."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        answer = run_peer(
            "eventsourcing_commands",
            folder=fresh,
            commands=commands,
            events_before=EVENTS_BEFORE,
            threads=threads,
            seconds=8.0,
        )
    return Sample(answer.pop("rate"), answer.pop("cpu_us"), answer)


def diptych(folder: Path, commands: int) -> Sample:
    """Send the commands to a new file."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        return withdraw_from_each(f"sqlite:///{fresh}/accounts.db", commands)

"""How fast does a read model in PostgreSQL catch up with a log in the same database?

The read model counts lines, pieces and turnover per article. The floor reads and decodes the same
log and keeps nothing. "By hand" is what a patient programmer would write: load the rows of a batch,
fold, write each row once, and the checkpoint in the same transaction.

The peers commit once per event, with the checkpoint (eventsourcing) or with one per batch
(eventsource-py, whose batch size is the best of those tried), so their rates do not depend on the
number of events and they may stop after a few seconds.
"""

from __future__ import annotations

from functools import partial

from benchmarks.measuring import Benchmark, Sample, Scale, Target, Variant
from benchmarks.peers import run_peer
from benchmarks.postgres.log_tables import fill
from benchmarks.postgres.read_model import folding, reading, rebuilding
from benchmarks.postgres.server import BenchServer

FEW_KEYS = 1_000
MANY_KEYS = 20_000
TIMES, TIMES_READ = 8, 20
"""A log of 20,000 events is read in a moment, so each sample does it several times."""


def benchmark(scale: Scale, server: BenchServer) -> Benchmark:
    """Compare a projection from the first event with reading, and with the peers."""
    variants: dict[str, Variant] = {}
    targets: list[Target] = []
    for keys, of_floor in ((FEW_KEYS, 0.28), (MANY_KEYS, 0.18)):
        schema = server.make_schema()
        fill(schema, scale.pick(5_000, 20_000), keys)
        ours, floor = f"diptych, {keys:,} keys", f"floor, read and decode, {keys:,} keys"
        by_hand = f"by hand, {keys:,} keys"
        variants |= {
            floor: settled(server, partial(reading, schema, TIMES_READ)),
            by_hand: settled(server, partial(folding, schema, TIMES)),
            ours: settled(server, partial(rebuilding, schema, TIMES)),
        }
        targets += [
            Target(f"projection, {keys:,} keys", ours, floor, at_least=of_floor),
            Target(f"projection, {keys:,} keys", ours, by_hand),
            Target(f"the same by hand, {keys:,} keys", by_hand, floor),
        ]
        for name in ("eventsourcing", "eventsource-py"):
            peer = f"{name}, {keys:,} keys"
            script = f"{name.replace('-', '_')}_postgres_projection"
            variants[peer] = partial(peer_projecting, server, script, scale, keys)
            targets.append(Target(f"projection, {keys:,} keys", ours, peer, at_least=50))
    return Benchmark("postgres.projection", "events/s", variants, targets)


def settled(server: BenchServer, run: Variant) -> Variant:
    """Begin with everything on disk."""

    def sample() -> Sample:
        server.execute("CHECKPOINT")
        return run()

    return sample


def peer_projecting(server: BenchServer, script: str, scale: Scale, keys: int) -> Sample:
    """Let a peer project its own log of the same lines, for a few seconds."""
    with server.new_database() as database:
        answer = run_peer(
            script,
            **database,
            events=scale.pick(1_000, 6_000),
            keys=keys,
            seconds=scale.pick(1.0, 3.0),
        )
    return Sample(answer.pop("rate"), answer.pop("cpu_us"), answer)

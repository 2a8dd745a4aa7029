"""The same events folded in another process: what a rebuild on another machine would give.

Texts hash differently there, so that the order in which a set is gone through differs, too.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.util
import inspect
import operator
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from diptych.errors import ConfigurationError, DiptychError, StoreUnavailable
from diptych.events.log import StoredEvent
from diptych.messages.envelope import Envelope
from diptych.queries.fold import Batch
from diptych.queries.projection import Plan, plan_of
from diptych.testing.difference import differences
from diptych.testing.recording import codec_of, envelopes_of
from diptych.testing.steadiness import renewed

__all__ = ["Answer", "can_be_loaded", "other_processes", "serve", "unsteady_elsewhere"]

Answer = list[Any]
"""Rows, or statements, as what JSON makes of them; or one text that says why there are none."""

_HASH_SEEDS = ("1", "2")
"""Two, so that a difference shows in every run: ours can agree with one of them at most."""


def can_be_loaded(projection: type) -> bool:
    """Whether another process can find the class: it stands in a file, and in no function."""
    return (
        "<locals>" not in projection.__qualname__
        and projection.__module__ != "__main__"
        and _file_of(projection) is not None
    )


@contextlib.contextmanager
def other_processes(projection: type) -> Iterator[Callable[[Sequence[Any]], list[Answer]]]:
    """A function that folds events elsewhere, twice; the processes end with the block.

    Raises ConfigurationError when the class cannot be loaded there.
    """
    started = [_start(seed) for seed in _HASH_SEEDS]
    stop = contextlib.ExitStack()
    for process in started:
        stop.callback(_stop, process)
    atexit.register(stop.close)
    plan = plan_of(projection)
    place = [projection.__module__, _file_of(projection), projection.__qualname__, sys.path]
    try:
        for process in started:
            _tell(process, place)
        for process in started:
            if trouble := _hear(process):
                raise ConfigurationError(
                    f"{projection.__qualname__} cannot be loaded in another process: "
                    f"{trouble[0]}. Say another_process=False to do without."
                )
        yield lambda events: _folded(plan, started, events)
    finally:
        stop.close()
        atexit.unregister(stop.close)


def unsteady_elsewhere(
    plan: Plan,
    events: Sequence[Any],
    ask: Callable[[Sequence[Any]], list[Answer]] | None = None,
) -> tuple[str, list[str]] | None:
    """What another process makes of the events that this one does not: a sentence, differences.

    `ask` are processes that run already. None where nothing is different, or nobody can be asked.
    """
    if ask is None:
        if not can_be_loaded(plan.projection):
            return None
        with other_processes(plan.projection) as started:
            return unsteady_elsewhere(plan, events, started)
    # Through JSON, like theirs.
    here = msgspec.json.decode(msgspec.json.encode(_fold(plan, envelopes_of(events))))
    for answer in ask(events):
        found = differences(here, answer, at="statement" if plan.shape is None else "row")
        if found:
            return (
                (
                    "gives other rows in another process: it looks at something besides row and "
                    "event (the order of a set, a hash, something kept in a module?)"
                ),
                found,
            )
    return None


def _fold(plan: Plan, envelopes: Sequence[Envelope]) -> Answer:
    """What a projection makes of events in one batch, in plain data."""
    try:
        change = Batch(plan, envelopes, 0, len(envelopes)).change({})
    except DiptychError as error:
        return [str(error)]
    if plan.shape is None:
        return [[one.sql, *map(repr, one.parameters)] for one in change.statements]
    return [msgspec.json.decode(msgspec.json.encode(row.value)) for row in sorted(change.rows)]


def _folded(
    plan: Plan, processes: Sequence[subprocess.Popen[bytes]], events: Sequence[Any]
) -> list[Answer]:
    kinds = list(plan.steps)
    told = [
        [kinds.index(type(one.event)), list(one.stored)]
        for one in envelopes_of(events)
        if type(one.event) in plan.steps
    ]
    for process in processes:
        _tell(process, told)
    return [_hear(process) for process in processes]


def _start(hash_seed: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  this very Python and this very file
        [sys.executable, "-c", f"from {__name__} import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with contextlib.suppress(OSError):
            pipe.close()


def _tell(process: subprocess.Popen[bytes], told: Any) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # what it has to say about that is read next
        process.stdin.write(msgspec.json.encode(told) + b"\n")
        process.stdin.flush()


def _hear(process: subprocess.Popen[bytes]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise StoreUnavailable(f"the other process has ended ({process.wait()}).")
    return msgspec.json.decode(line)


def _file_of(projection: type) -> str | None:
    try:
        return inspect.getsourcefile(projection)
    except (TypeError, OSError):
        return None


# -- over there ------------------------------------------------------------------------------------


def _load(module: str, file: str, name: str) -> type:
    """The class, from a module that can be imported, or else from its file."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location(module, file)
        assert spec is not None
        assert spec.loader is not None
        found = sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    return operator.attrgetter(name)(found)  # type: ignore[no-any-return]


def serve() -> None:
    """Fold what comes in by lines, for as long as lines come; the other end of the pipes."""
    # What the loaded modules print must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(thing: Any) -> None:
        answers.write(msgspec.json.encode(thing) + b"\n")
        answers.flush()

    module, file, name, path = msgspec.json.decode(sys.stdin.buffer.readline())
    sys.path[:] = path
    try:
        projection = _load(module, file, name)
        plan = plan_of(projection)
    except BaseException as error:  # noqa: BLE001  whatever a module does when it is imported
        answer([repr(error)])
        return
    answer([])
    kinds = list(plan.steps)
    stored = msgspec.json.Decoder(list[tuple[int, StoredEvent]])
    for line in sys.stdin.buffer:
        envelopes = [
            Envelope(codec_of(kinds[kind]).decode(one.data), one)
            for kind, one in stored.decode(line)
        ]
        answer(_fold(renewed(plan), envelopes))

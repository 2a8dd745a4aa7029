"""R11: at any moment one generation is served, and a switch takes no reader back in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from diptych.testing.simulation.history import (
    Asked,
    Dropped,
    History,
    Looked,
    Reset,
    Switched,
    Written,
)

__all__ = ["nobody_goes_back", "one_is_served", "switches_are_level"]


def one_is_served(history: History) -> Iterator[str]:
    """After every switch exactly one generation of each projection is served, and it stays.

    >>> none = Switched("p1", roles={"rows": "kept", "rows__1": "building"})
    >>> list(one_is_served(History([none])))
    ['rows has 0 served generations after a switch by p1: rows kept, rows__1 building']
    """
    for one in history.records:
        if isinstance(one, Dropped) and one.role == "served":
            yield f"{one.process} dropped {one.projection}, which was served"
        if not isinstance(one, Switched):
            continue
        served: dict[str, int] = defaultdict(int)
        for name, role in one.roles.items():
            served[name.partition("__")[0]] += role == "served"
        for projection, number in served.items():
            if number != 1:
                said = ", ".join(f"{name} {role}" for name, role in sorted(one.roles.items()))
                yield (
                    f"{projection} has {number} served generations after a switch by "
                    f"{one.process}: {said}"
                )


def switches_are_level(history: History) -> Iterator[str]:
    """What becomes served stands nowhere before what was served until then: at the moment at which
    who switches had last confirmed that they hold it. (Who takes it away from them after that moves
    what no reader leaves before the new rows have come as far; see `nobody_goes_back`.)

    >>> before = Switched("p1", roles={"rows": "served", "rows__1": "building"})
    >>> confirmed = Written("p1", "rows", 9, 9, epoch=3, holder=3)
    >>> after = Switched(
    ...     "p1",
    ...     roles={"rows": "kept", "rows__1": "served"},
    ...     stands={"rows": 9, "rows__1": 7},
    ... )
    >>> list(switches_are_level(History([before, confirmed, after])))
    ['rows__1 at 7 is served by p1 instead of rows at 9']
    """
    served: dict[str, str] = {}
    confirmed: dict[tuple[str, str], int] = {}
    for one in history.records:
        if isinstance(one, Written):
            confirmed[one.process, one.projection] = one.upto
        if isinstance(one, Reset | Dropped):
            confirmed = {at: upto for at, upto in confirmed.items() if at[1] != one.projection}
        if not isinstance(one, Switched):
            continue
        for name, role in one.roles.items():
            projection = name.partition("__")[0]
            if role == "served":
                old = served.setdefault(projection, projection)
                level = confirmed.get((one.process, old), 0)
                if old != name and one.stands[name] < level:
                    yield (
                        f"{name} at {one.stands[name]} is served by {one.process} instead of {old} "
                        f"at {level}"
                    )
                served[projection] = name


def nobody_goes_back(history: History) -> Iterator[str]:
    """Who asks a process again is shown rows that stand no earlier than those shown before.

    Not where rows were rebuilt in place meanwhile.

    >>> asks = [Asked("p1", n, "GetRow") for n in (1, 2)]
    >>> looks = [Looked("p1", 1, "rows", 9), Looked("p1", 2, "rows__1", 7)]
    >>> list(nobody_goes_back(History([asks[0], looks[0], asks[1], looks[1]])))
    ['GetRow is answered by p1 from rows__1 at 7, after rows at 9']
    """
    shown: dict[tuple[str, str], Looked] = {}
    asked: dict[int, tuple[Asked, dict[tuple[str, str], Looked]]] = {}
    for one in history.records:
        if isinstance(one, Asked):
            asked[one.ask] = one, dict(shown)
        elif isinstance(one, Reset):
            projection = one.projection.partition("__")[0]
            for known in (shown, *(before for _, before in asked.values())):
                for place in [place for place in known if place[1] == projection]:
                    del known[place]
        elif isinstance(one, Looked):
            place = one.process, one.projection.partition("__")[0]
            ask, before = asked[one.ask]
            last = before.get(place)
            if last is not None and last.checkpoint > one.checkpoint:
                yield (
                    f"{ask.query} is answered by {one.process} from {one.projection} at "
                    f"{one.checkpoint}, after {last.projection} at {last.checkpoint}"
                )
            if place not in shown or shown[place].checkpoint < one.checkpoint:
                shown[place] = one

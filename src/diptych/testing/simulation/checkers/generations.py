"""R11: at any moment one generation is served, and a switch takes no reader back in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from diptych.testing.simulation.history import Dropped, History, Switched

__all__ = ["one_is_served", "switches_are_level"]


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
    """What becomes served stands nowhere before what was served until then.

    >>> before = Switched("p1", roles={"rows": "served", "rows__1": "building"})
    >>> after = Switched(
    ...     "p1",
    ...     roles={"rows": "kept", "rows__1": "served"},
    ...     stands={"rows": 9, "rows__1": 7},
    ... )
    >>> list(switches_are_level(History([before, after])))
    ['rows__1 at 7 is served by p1 instead of rows at 9']
    """
    served: dict[str, str] = {}
    for one in history.of(Switched):
        for name, role in one.roles.items():
            projection = name.partition("__")[0]
            if role == "served":
                old = served.setdefault(projection, projection)
                stands = one.stands
                if old != name and old in stands and stands[name] < stands[old]:
                    yield (
                        f"{name} at {stands[name]} is served by {one.process} instead of {old} at "
                        f"{stands[old]}"
                    )
                served[projection] = name

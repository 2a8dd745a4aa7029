"""A batch of events folded by key in memory: rows loaded once, changed often, written once.

This is where projections get their speed. Everything here is a function of events and rows; reading
and writing stand around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from diptych.errors import DiptychError, ProjectionFailed
from diptych.messages.envelope import Envelope
from diptych.messages.registry import place_of
from diptych.queries.omitted import Omitted
from diptych.queries.projection import IN_PLACE, REPLACED, FoldStep, Plan, Sql
from diptych.queries.read_store import Change, Row, Statement

__all__ = ["Batch", "failed", "fold_one", "keys_of", "statements_of"]

_NO_KEY = ("",)
"""The key of an event in a projection without rows."""


class Batch:
    """The events of one batch that concern one projection, and the keys of the rows they touch.

    Make it of `envelopes` (ascending), load the rows of `keys`, then ask for the `change`. What is
    `omitted` has no effect. Raises ProjectionFailed when a key cannot be told.
    """

    __slots__ = ("_after", "_envelopes", "_keys", "_omitted", "_plan", "_steps", "_upto", "keys")

    def __init__(
        self,
        plan: Plan,
        envelopes: Iterable[Envelope],
        after: int,
        upto: int,
        omitted: Omitted | None = None,
    ) -> None:
        self._plan = plan
        self._after = after
        self._upto = upto
        # Three lists beside each other, not one of tuples: a hundred thousand tuples are a hundred
        # thousand things for the garbage collector to look at.
        self._steps: list[FoldStep] = []
        self._keys: list[str] = []
        self._envelopes: list[Envelope] = []
        steps, key_of = plan.steps, self._key_of
        if omitted:
            self._omitted = omitted
            key_of = self._keys_left
        add_step, add_key = self._steps.append, self._keys.append
        add_envelope = self._envelopes.append
        for envelope in envelopes:
            step = steps.get(type(envelope.event))
            if step is None:
                continue
            for key in key_of(step, envelope):
                add_step(step)
                add_key(key)
                add_envelope(envelope)
        self.keys: list[str] = list(dict.fromkeys(self._keys)) if plan.shape else []

    def __len__(self) -> int:
        return len(self._steps)

    def change(self, rows: dict[str, Row]) -> Change:
        """Fold the events into the loaded `rows` (which may be changed) and say what to write.

        Raises ProjectionFailed naming the event a method raised on; then nothing must be written.
        """
        if self._plan.shape is None:
            return self._statements()
        values: dict[str, Any] = {key: row.value for key, row in rows.items()}
        touched: dict[str, Envelope] = {}
        model, key_field = self._plan.shape.model, self._plan.shape.key
        get = values.get
        for step, key, envelope in zip(self._steps, self._keys, self._envelopes, strict=True):
            value = get(key)
            try:
                if value is None and not step.wants_none:
                    value = model(**{key_field: key})
                if step.takes_envelope:
                    result = step.call(value, envelope.event, envelope)
                else:
                    result = step.call(value, envelope.event)
                if step.mode is not IN_PLACE:
                    value = _checked(self._plan, step, result, key)
            except Exception as error:
                raise failed(self._plan, envelope, error, step.call) from error
            values[key] = value
            touched[key] = envelope
        written, deleted = [], []
        for key, envelope in touched.items():
            value = values[key]
            if value is None:
                deleted.append(key)
            else:
                written.append(Row(key, envelope.stored.position, value))
        return Change(self._plan.name, self._after, self._upto, written, deleted)

    def _key_of(self, step: FoldStep, envelope: Envelope) -> Sequence[str]:
        return keys_of(self._plan, step, envelope)

    def _keys_left(self, step: FoldStep, envelope: Envelope) -> Sequence[str]:
        omitted = self._omitted
        if omitted.leaves_out_all(envelope):  # its key may be what cannot be told
            return ()
        keys = self._key_of(step, envelope)
        return [key for key in keys if not omitted.leaves_out(key, envelope)]

    def _statements(self) -> Change:
        statements: list[Statement] = []
        for step, envelope in zip(self._steps, self._envelopes, strict=True):
            statements += statements_of(self._plan, step, envelope)
        return Change(self._plan.name, self._after, self._upto, statements=statements)


def keys_of(plan: Plan, step: FoldStep, envelope: Envelope) -> Sequence[str]:
    """The keys of the rows that an event touches. Raises ProjectionFailed."""
    if step.keys is None:
        return _NO_KEY
    try:
        key = step.keys(envelope.event)
        if type(key) is str:
            return (key,)
        return _texts(key) if step.many else (str(key),)
    except Exception as error:
        raise failed(plan, envelope, error, step.call) from error


def fold_one(plan: Plan, step: FoldStep, key: str, value: Any, envelope: Envelope) -> Any:
    """What one event makes of the row of `key` (None: there is none), which it may change.

    The slow way, for single events: a Batch does the same for many. Raises ProjectionFailed.
    """
    shape = plan.shape
    assert shape is not None  # noqa: S101  only called for rows
    try:
        if value is None and not step.wants_none:
            value = shape.model(**{shape.key: key})
        facts = (envelope.event, envelope) if step.takes_envelope else (envelope.event,)
        result = step.call(value, *facts)
        return value if step.mode is IN_PLACE else _checked(plan, step, result, key)
    except Exception as error:
        raise failed(plan, envelope, error, step.call) from error


def statements_of(plan: Plan, step: FoldStep, envelope: Envelope) -> list[Statement]:
    """The SQL that one event means to a projection without rows. Raises ProjectionFailed."""
    sql = Sql()
    try:
        if step.takes_envelope:
            step.call(sql, envelope.event, envelope)
        else:
            step.call(sql, envelope.event)
    except Exception as error:
        raise failed(plan, envelope, error, step.call) from error
    return sql.statements


def _checked(plan: Plan, step: FoldStep, result: Any, key: str) -> Any:
    shape = plan.shape
    assert shape is not None  # noqa: S101  only called for rows
    if result is None:
        if step.mode is REPLACED:
            raise TypeError(f"returned None instead of a {shape.model.__name__}")
        return None
    if type(result) is not shape.model:
        raise TypeError(f"returned {result!r} instead of a {shape.model.__name__}")
    if getattr(result, shape.key) != key:
        raise ValueError(f"returned the row of {getattr(result, shape.key)!r} for {key!r}")
    return result


def _texts(keys: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(keys))  # an event has its effect on a row once
    for one in found:
        if type(one) is not str:
            raise TypeError(f"the key function gave {one!r}; keys are str")
    return found


def failed(
    plan: Plan, envelope: Envelope, error: Exception, place: Callable[..., Any] | None = None
) -> ProjectionFailed:
    """The error that says on which event a projection failed, why, and in which method."""
    if isinstance(error, ProjectionFailed):
        return error
    why = error.message if isinstance(error, DiptychError) else repr(error)
    where = f" in {place_of(place)}" if place is not None else ""
    return ProjectionFailed(
        f"the projection {plan.name} failed at position {envelope.position} ({envelope.type} of "
        f"{envelope.stream}): {why}{where}.",
        projection=plan.name,
        position=envelope.position,
        event_type=envelope.type,
        stream=envelope.stream,
    )

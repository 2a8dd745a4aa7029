"""Views: read models that the database computes from the tables of the write model.

The simplest right panel there is: nothing has to be kept in step, because nothing is kept twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import msgspec

from diptych.errors import ConfigurationError
from diptych.messages.annotations import is_message
from diptych.messages.registry import place_of
from diptych.queries.projection import Plan, fields_of, keyed_by_text
from diptych.queries.read_model import ReadModel, RowShape, shape_of, snake_case
from diptych.queries.read_store import TableSpec, ViewKept, ViewSpec

__all__ = ["View", "view_plan_of"]

R = TypeVar("R", bound=ReadModel)

_KEPT = ("query", "view", "materialized")


class View(Generic[R]):
    """A read model given by one SELECT over the tables beside the log.

    ```python
    class OrdersByCustomer(View[CustomerOrders], kept="materialized"):
        sql = "SELECT customer_id, count(*) AS orders FROM orders GROUP BY customer_id"
        refreshed_after = (OrderPlaced,)
    ```

    `sql` gives one column for every field of the read model, under the field's name, each key once;
    it may be a dict of one SELECT for each dialect ("sqlite", "postgresql"). A list or a nested
    object is JSON (`json_group_array`, `jsonb_agg`), a bool 0 or 1 where the database has none.

    Class option `kept`:
        "view" (the default): a view in the database; as new as the tables.
        "query": nothing in the database; the SELECT is part of every query.
        "materialized": rows, as new as their last refresh. They are refreshed by
            `app.refresh(...)`, when a query comes with a token that is newer, and after events of
            the classes in `refreshed_after`.

    A query handler reads a view with `Reader[...]`, like any other read model.
    """

    sql: ClassVar[str | dict[str, str]]
    refreshed_after: ClassVar[Sequence[type]] = ()
    __diptych_kept__: ClassVar[ViewKept] = "view"

    def __init_subclass__(cls, *, kept: ViewKept | None = None, **options: Any) -> None:
        """Note how it is kept."""
        super().__init_subclass__(**options)
        if kept is not None:
            cls.__diptych_kept__ = kept


def view_plan_of(view: type[View[Any]]) -> Plan:
    """Read a view class. Raises ConfigurationError that says what is wrong with it."""
    shape = _shape_of(view)
    sql = getattr(view, "sql", None)
    texts = sql.values() if isinstance(sql, dict) else (sql,)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ConfigurationError(
            f'{place_of(view)} must say what it shows: sql = "SELECT ..." with a column for every '
            f"field of {shape.model.__name__}."
        )
    kept = view.__diptych_kept__
    if kept not in _KEPT:
        raise ConfigurationError(
            f"{place_of(view)} is kept={kept!r}; a view is kept as {', '.join(_KEPT)}."
        )
    for event in view.refreshed_after:
        if not is_message(event):
            raise ConfigurationError(
                f"{place_of(view)} is refreshed after {event!r}, which is no event class."
            )
    if view.refreshed_after and kept != "materialized":
        raise ConfigurationError(
            f"{place_of(view)} is always as new as its tables, so refreshed_after means nothing. "
            'Remove it, or keep the view with kept="materialized".'
        )
    assert sql is not None  # noqa: S101  for the type checker
    spec = ViewSpec(sql, kept)
    table = TableSpec(snake_case(view.__name__), _fingerprint(spec, shape), shape, view=spec)
    return Plan(table.name, view, table, {}, shape, tuple(view.refreshed_after))


def _shape_of(view: type) -> RowShape:
    for cls in view.__mro__:
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is View:
                model = get_args(base)[0]
                if isinstance(model, type) and issubclass(model, ReadModel):
                    return keyed_by_text(shape_of(model))
    raise ConfigurationError(
        f"{place_of(view)} does not say which read model it gives: "
        f"class {view.__name__}(View[SomeReadModel])."
    )


def _fingerprint(spec: ViewSpec, shape: RowShape) -> str:
    told = msgspec.json.encode(spec, order="sorted") + fields_of(shape).encode()
    return hashlib.blake2b(told, digest_size=8).hexdigest()

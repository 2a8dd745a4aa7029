"""Projections: how events become rows. A pure fold by key, or own SQL.

A projection knows no clock, no chance and no I/O, so that folding the log again, in batches of any
size, gives the same rows.
"""

from __future__ import annotations

import hashlib
import inspect
import operator
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from diptych.errors import ConfigurationError
from diptych.messages.annotations import has_field, is_message, members_of, signature_of
from diptych.messages.envelope import Envelope
from diptych.messages.registry import place_of
from diptych.queries.code_mark import code_mark
from diptych.queries.read_model import ReadModel, RowShape, shape_of, snake_case
from diptych.queries.read_store import Statement, TableSpec

__all__ = [
    "FoldStep",
    "Plan",
    "Projection",
    "Sql",
    "SqlProjection",
    "fields_of",
    "keyed_by",
    "keyed_by_text",
    "plan_of",
]

R = TypeVar("R", bound=ReadModel)
F = TypeVar("F", bound=Callable[..., Any])
Keys = Callable[[Any], str | Iterable[str]]

_KEYS = "__diptych_keys__"


class Projection(Generic[R]):
    """Folds events into rows of one read model, each row by its key.

    ```python
    class CartPages(Projection[CartPage]):
        def item_added(
            self, page: CartPage, event: ItemAddedToCart
        ) -> None:  # changes the row
            page.items.append(event.item_id)

        def removed(self, page: CartPage, event: CartRemoved) -> CartPage | None:
            return None  # deletes the row
    ```

    Every public method that takes a row and an event (and, if it likes, the event's Envelope) folds
    the events of that class. What it is annotated to return says how: `None` changes the row given;
    the read model returns the row; `ReadModel | None` may return None to delete it. The row given
    is the stored one, or a new one with only its key set; annotate `row: CartPage | None` to be
    given None instead, which is needed when the read model has fields without defaults.

    The key is the event's field of the same name as the read model's; `@keyed_by` says otherwise.
    Class option `version`: raise it when the same events should give other rows.
    """

    __diptych_version__: ClassVar[int] = 1

    def __init_subclass__(cls, *, version: int = 1, **options: Any) -> None:
        """Note the declared version."""
        super().__init_subclass__(**options)
        cls.__diptych_version__ = version


class Sql:
    """Collects the statements of a SqlProjection: `sql("INSERT ...", value, ...)`."""

    __slots__ = ("statements",)

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    def __call__(self, statement: str, *parameters: Any) -> None:
        """Add one statement with its parameters; it runs with the checkpoint's transaction."""
        self.statements.append(Statement(statement, parameters))


class SqlProjection:
    """Turns events into SQL statements, for what is not one row per key: sums, joins, own tables.

    ```python
    class SalesByDay(SqlProjection):
        schema = (
            "CREATE TABLE sales(country TEXT, day TEXT, revenue INT, PRIMARY KEY(country, day))",
        )
        tables = ("sales",)

        def placed(self, sql: Sql, event: OrderPlaced) -> None:
            sql(
                "INSERT INTO sales VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET revenue = revenue + excluded.revenue",
                event.country,
                event.day,
                event.total,
            )
    ```

    The statements run in the order of their events, in one transaction with the checkpoint, so each
    event has its effect once. `tables` names everything `schema` creates.
    """

    schema: ClassVar[tuple[str, ...]] = ()
    tables: ClassVar[tuple[str, ...]] = ()
    __diptych_version__: ClassVar[int] = 1

    def __init_subclass__(cls, *, version: int = 1, **options: Any) -> None:
        """Note the declared version."""
        super().__init_subclass__(**options)
        cls.__diptych_version__ = version


def keyed_by(keys: str | Keys) -> Callable[[F], F]:
    """Say which rows an event of this method touches: a field's name, or a function of the event.

    The function returns one key or several; the method is called once for each.
    """

    def mark(method: F) -> F:
        setattr(method, _KEYS, keys)
        return method

    return mark


class FoldStep(NamedTuple):
    """How one event class is folded.

    `keys` gives the rows touched (None: no rows, a SqlProjection); `takes_envelope` and `mode` say
    how `call` wants to be called and what its result means.
    """

    call: Callable[..., Any]
    keys: Keys | None
    many: bool
    takes_envelope: bool
    mode: str
    wants_none: bool


class Plan(NamedTuple):
    """A projection read once: its name, what it keeps, and how each event class is folded.

    A view folds nothing; it may be refreshed after events of the classes `refreshed_after`.
    """

    name: str
    projection: type
    table: TableSpec
    steps: dict[type, FoldStep]
    shape: RowShape | None
    refreshed_after: tuple[type, ...] = ()


IN_PLACE, REPLACED, REPLACED_OR_DELETED = "in place", "replaced", "replaced or deleted"


def plan_of(projection: type) -> Plan:
    """Read a projection class. Raises ConfigurationError naming the method that is wrong."""
    shape = _row_shape(projection)
    instance = projection()
    steps: dict[type, FoldStep] = {}
    for name, method in inspect.getmembers(instance, inspect.ismethod):
        if not name.startswith("_"):
            for event, step in _steps_of(method, shape):
                other = steps.setdefault(event, step)
                if other is not step:
                    raise ConfigurationError(
                        f"{event.__name__} is folded twice in {projection.__name__}: "
                        f"{place_of(other.call)} and {place_of(method)}. Keep one."
                    )
    if not steps:
        raise ConfigurationError(
            f"{place_of(projection)} folds nothing: give it a method that takes "
            f"{'a row' if shape else 'sql: Sql'} and an event."
        )
    return Plan(
        snake_case(projection.__name__), projection, _table(projection, shape), steps, shape
    )


def _row_shape(projection: type) -> RowShape | None:
    if issubclass(projection, SqlProjection):
        if not projection.schema or not projection.tables:
            raise ConfigurationError(
                f'{place_of(projection)} must say what it keeps: schema = ("CREATE TABLE ...",) '
                'and tables = ("...",).'
            )
        return None
    for base in getattr(projection, "__orig_bases__", ()):
        if get_origin(base) is Projection:
            model = get_args(base)[0]
            if isinstance(model, type) and issubclass(model, ReadModel):
                return keyed_by_text(shape_of(model))
    raise ConfigurationError(
        f"{place_of(projection)} does not say which read model it fills: "
        f"class {projection.__name__}(Projection[SomeReadModel])."
    )


def keyed_by_text(shape: RowShape) -> RowShape:
    """The shape, if its key is a str. Raises ConfigurationError."""
    for field in msgspec.structs.fields(shape.model):
        if field.name == shape.key and field.type is not str:
            raise ConfigurationError(
                f"{shape.model.__name__}.{shape.key} is a key and must be a str: a row is found by "
                "text in every store. Keep the value in a field of its own if you need it."
            )
    return shape


def _table(projection: type, shape: RowShape | None) -> TableSpec:
    version = getattr(projection, "__diptych_version__", 1)
    made = hashlib.blake2b(f"version {version}".encode(), digest_size=8)
    if shape is not None:
        made.update(fields_of(shape).encode())
    schema = getattr(projection, "schema", ())
    made.update("\0".join(schema).encode())
    return TableSpec(
        snake_case(projection.__name__),
        f"{made.hexdigest()}.{code_mark(projection)}",
        shape,
        tuple(schema),
        tuple(getattr(projection, "tables", ())),
    )


def fields_of(shape: RowShape) -> str:
    """The fields of a read model with their types, and what is found by them, as one text."""
    fields = msgspec.structs.fields(shape.model)
    told = "".join(f"\0{field.encode_name}:{field.type!r}" for field in fields)
    return f"{told}\0{shape.key}\0{shape.indexes}\0{shape.search}"


def _steps_of(method: Any, shape: RowShape | None) -> list[tuple[type, FoldStep]]:
    signature = signature_of(method)
    kinds = list(signature.parameters.values())
    first = Sql if shape is None else shape.model
    if len(kinds) < 2 or first not in members_of(kinds[0]):
        return []  # an ordinary method
    events = [one for one in members_of(kinds[1]) if is_message(one)]
    if not events or len(kinds) > 3 or (len(kinds) == 3 and kinds[2] is not Envelope):
        raise ConfigurationError(
            f"{place_of(method)} must take {first.__name__}, an event, and if it likes the event's "
            "Envelope, all annotated."
        )
    if inspect.iscoroutinefunction(method):
        raise ConfigurationError(
            f"{place_of(method)} is async. A projection is pure: make it a plain def."
        )
    takes_envelope = len(kinds) == 3
    if shape is None:
        step = FoldStep(method, None, False, takes_envelope, IN_PLACE, False)
        return [(event, step) for event in events]
    row_kinds = members_of(kinds[0])
    wants_none = type(None) in row_kinds
    if not wants_none:
        _check_defaults(method, shape)
    mode = _mode(method, signature.returns, shape)
    made = []
    for event in events:
        keys, many = _keys_of(method, event, shape)
        made.append((event, FoldStep(method, keys, many, takes_envelope, mode, wants_none)))
    return made


def _mode(method: Any, returns: Any, shape: RowShape) -> str:
    kinds = members_of(returns)
    if kinds == (type(None),):
        return IN_PLACE
    if kinds == (shape.model,):
        return REPLACED
    if set(kinds) == {shape.model, type(None)}:
        return REPLACED_OR_DELETED
    raise ConfigurationError(
        f"{place_of(method)} must be annotated to return None (it changes the row), "
        f"{shape.model.__name__} (it returns the row), or {shape.model.__name__} | None (None "
        "deletes the row)."
    )


def _check_defaults(method: Any, shape: RowShape) -> None:
    for field in msgspec.structs.fields(shape.model):
        if field.required and field.name != shape.key:
            raise ConfigurationError(
                f"{place_of(method)} wants a row to begin with, but {shape.model.__name__}."
                f"{field.name} has no default. Give it one, or annotate the row "
                f"{shape.model.__name__} | None and make the first row yourself."
            )


def _keys_of(method: Any, event: type, shape: RowShape) -> tuple[Keys, bool]:
    keys = getattr(method, _KEYS, shape.key)
    if callable(keys):
        return keys, True
    if not has_field(event, keys):
        raise ConfigurationError(
            f"{event.__name__} has no field {keys!r}, the key of {shape.model.__name__}: say which "
            f"rows it touches with @keyed_by(...) at {place_of(method)}."
        )
    return operator.attrgetter(keys), False

"""Fields and columns: what fits together, and what is said when it does not."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from diptych import Aggregate, Command, Decider, Event
from diptych.adapters.sqlalchemy import TableOf, mapped
from diptych.adapters.sqlalchemy.child_rows import ChildRows
from diptych.errors import ConfigurationError, InvalidMessage


class Line(msgspec.Struct):
    item: str
    quantity: int


class Open(Command):
    order_id: str


class Opened(Event):
    order_id: str


class Order(Aggregate, key="order_id"):
    note: str = ""
    lines: list[Line] = []

    def open(self, command: Open) -> Opened:
        return Opened(command.order_id)

    def opened(self, event: Opened) -> None:
        self.note = "open"


def root(*columns: Column, name: str = "orders") -> Table:
    return Table(
        name,
        MetaData(),
        Column("order_id", Integer, primary_key=True),
        Column("version", Integer),
        *columns,
    )


def child(*columns: Column, parent: Table, name: str = "lines") -> Table:
    key = Column("order_id", ForeignKey(parent.c.order_id), primary_key=True)
    return Table(name, MetaData(), key, *columns)


def number() -> Column:
    return Column("number", Integer, primary_key=True)


ORDERS = root(Column("note", String))


def rows_of(kind, *columns) -> ChildRows:
    return ChildRows("lines", kind, child(*columns, parent=ORDERS), ORDERS.c.order_id)


@pytest.mark.parametrize(
    ("kind", "columns", "value", "rows"),
    [
        (
            list[Line],
            [number(), Column("item", String), Column("quantity", Integer)],
            [Line("tea", 1), Line("tea", 2)],
            {0: {"item": "tea", "quantity": 1}, 1: {"item": "tea", "quantity": 2}},
        ),
        (
            list[Line],
            [Column("item", String, primary_key=True), Column("quantity", Integer)],
            [Line("milk", 1), Line("tea", 2)],
            {"milk": {"quantity": 1}, "tea": {"quantity": 2}},
        ),
        (
            dict[str, int],
            [Column("item", String, primary_key=True), Column("quantity", Integer)],
            {"tea": 2},
            {"tea": {"quantity": 2}},
        ),
        (
            dict[str, Line],
            [Column("item", String, primary_key=True), Column("quantity", Integer)],
            {"tea": Line("tea", 2)},
            {"tea": {"quantity": 2}},
        ),
        (
            list[str],
            [number(), Column("item", String)],
            ["b", "a"],
            {0: {"item": "b"}, 1: {"item": "a"}},
        ),
        (set[str], [Column("item", String, primary_key=True)], {"tea"}, {"tea": {}}),
    ],
    ids=str,
)
def test_a_collection_becomes_rows_and_comes_back(kind, columns, value, rows):
    made = rows_of(kind, *columns)
    assert made.to_rows(value) == rows
    assert made.to_field(rows) == value


def test_a_list_out_of_the_order_of_its_rows_is_refused():
    made = rows_of(
        list[Line], Column("item", String, primary_key=True), Column("quantity", Integer)
    )
    for items in ("ba", "aa"):
        with pytest.raises(ConfigurationError, match="would come back in another order"):
            made.to_rows([Line(item, 1) for item in items])


def test_an_element_under_a_key_that_is_not_its_own_is_refused():
    made = rows_of(
        dict[str, Line], Column("item", String, primary_key=True), Column("quantity", Integer)
    )
    with pytest.raises(ConfigurationError, match="can have one key only"):
        made.to_rows({"milk": Line("tea", 1)})


@pytest.mark.parametrize(
    ("kind", "columns", "says"),
    [
        (int, [number()], "keeps a dict"),
        (list, [number()], "keeps a dict"),
        (list[Line], [number(), Column("item", String)], "Line.quantity has no column in lines"),
        (list[str], [number()], "has 0 columns for the values"),
        (dict[str, int], [number(), Column("a", Integer), Column("b", Integer)], "has 2 columns"),
        (list[str], [number(), Column("part", Integer, primary_key=True)], "one more column"),
        (
            set[str],
            [Column("item", String, primary_key=True), Column("x", Integer, nullable=False)],
            "nothing fills the column lines.x",
        ),
    ],
    ids=str,
)
def test_a_child_table_that_does_not_fit_is_refused(kind, columns, says):
    with pytest.raises(ConfigurationError, match=says):
        rows_of(kind, *columns)


def test_a_child_needs_its_parents_key():
    stray = Table("stray", MetaData(), number(), Column("item", String))
    with pytest.raises(ConfigurationError, match="does not hold the key of its parent"):
        ChildRows("lines", list[str], stray, ORDERS.c.order_id)


def test_every_field_needs_a_column_and_every_column_a_value():
    lines = child(number(), Column("item", String), Column("quantity", Integer), parent=ORDERS)
    assert mapped(Order, ORDERS, lines=lines).of is Order
    with pytest.raises(ConfigurationError, match=r"mapped\(..., lines=...\)"):
        mapped(Order, ORDERS)
    with pytest.raises(ConfigurationError, match="Order has no field 'line'"):
        mapped(Order, ORDERS, line=lines)
    strict = root(Column("note", String), Column("customer", String, nullable=False))
    with pytest.raises(ConfigurationError, match=r"nothing fills the column orders\.customer"):
        mapped(Order, strict, lines=child(number(), *_line(), parent=strict))


def _line() -> list[Column]:
    return [Column("item", String), Column("quantity", Integer)]


def test_a_root_table_has_a_version_and_one_key():
    bare = Table("bare", MetaData(), Column("order_id", Integer, primary_key=True))
    with pytest.raises(ConfigurationError, match="no column 'version'"):
        mapped(Order, bare)
    double = root(number())
    with pytest.raises(ConfigurationError, match="found by 2 columns"):
        mapped(Order, double)


def test_a_table_by_hand_says_whose_it_is_and_where():
    class Whose(TableOf):
        table = ORDERS

    class Where(TableOf[Order]):
        pass

    class Below(TableOf[Order]):
        table = ORDERS

    class Further(Below):
        pass

    with pytest.raises(ConfigurationError, match="whose table it is"):
        Whose()
    with pytest.raises(ConfigurationError, match="names no root table"):
        Where()
    assert Further().of is Order


def test_a_key_that_travelled_as_text_is_what_its_column_wants():
    class Orders(TableOf[Order]):
        table = ORDERS

    assert Orders().as_column("7") == 7
    assert Orders().as_column(7) == 7
    with pytest.raises(InvalidMessage, match="'x' is no key of orders"):
        Orders().as_column("x")


@dataclass
class Told:
    note: str = ""


def test_a_decider_with_a_dataclass_for_its_state_is_mapped_too():
    def evolve(state: Told, event: Opened) -> Told:
        return Told("open")

    decider = Decider("Told", key="order_id", initial=Told, decide=(), evolve=evolve)
    assert mapped(decider, ORDERS).of is decider
    counting = Decider("Count", key="order_id", initial=int, decide=(), evolve=())
    with pytest.raises(ConfigurationError, match="no fields that could be columns"):
        mapped(counting, ORDERS)

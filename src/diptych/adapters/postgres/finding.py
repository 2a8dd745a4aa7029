"""Find as SQL: filters, words and order over the columns of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.adapters.postgres.row_column import RowColumn
from diptych.adapters.postgres.row_table import LONGEST_WORD, RowTable
from diptych.adapters.postgres.statements import quoted
from diptych.adapters.postgres.value_kind import NeverEqual
from diptych.errors import ConfigurationError
from diptych.queries.matching import check_fields, words_of
from diptych.queries.read_store import Filter, Find

__all__ = ["count_sql", "find_sql", "has_long_words"]

_OPERATORS = frozenset({"=", "<", "<=", ">", ">=", "in"})


class _Where:
    """Conditions, with the values they speak of as parameters."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.parameters: list[Any] = []

    def parameter(self, value: Any) -> str:
        self.parameters.append(value)
        return f"${len(self.parameters)}"

    def add(self, condition: str) -> None:
        self.conditions.append(condition)

    def sql(self, *more: str) -> str:
        conditions = [*self.conditions, *more]
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def find_sql(table: RowTable, find: Find) -> tuple[str, list[Any]]:
    """SQL that gives rows as `RowTable.decoded` takes them, and its parameters.

    Raises ConfigurationError for fields that are not declared, or do not compare in the database.
    """
    check_fields(table.shape, find)
    where = _where(table, find.filters)
    if find.search is not None:
        _add_search(find.search, where)
    if find.after_key is not None:
        if find.order_by is not None:
            raise ConfigurationError("after_key continues a scan by key: it goes with no order_by.")
        key = table.column[table.shape.key]
        _add_filter(key, "<" if find.descending else ">", find.after_key, where)
    limit = "" if find.limit is None else f" LIMIT {where.parameter(max(find.limit, 0))}"
    if find.order_by is None:
        direction = "DESC" if find.descending else "ASC"
        return (
            f"{table.select}{where.sql()} ORDER BY {table.key} {direction}{limit}",
            where.parameters,
        )
    return _by_field(table, find, where, limit), where.parameters


def count_sql(table: RowTable, filters: Sequence[Filter]) -> tuple[str, list[Any]]:
    """SQL that counts the rows that meet the filters, and its parameters."""
    check_fields(table.shape, Find(tuple(filters)))
    where = _where(table, filters)
    return f"{table.count}{where.sql()}", where.parameters


def has_long_words(find: Find) -> bool:
    """Whether a word of the search is longer than the index sees: more is found than is meant."""
    return find.search is not None and any(
        len(word) > LONGEST_WORD for word in words_of(find.search)
    )


def _by_field(table: RowTable, find: Find, where: _Where, limit: str) -> str:
    """Rows by a field, those without a value last.

    The index of a field serves both directions, but read backwards it has the rows without a value
    first. So where few rows are wanted, those with a value and those without are asked for apart.
    """
    assert find.order_by is not None  # noqa: S101  asked before
    column = table.column[find.order_by]
    if column.kind.bound is None:
        raise _incomparable(column, "in order")
    name = quoted(column.name)
    if not find.descending:
        return f"{table.select}{where.sql()} ORDER BY {name}, {table.key}{limit}"
    if not column.nullable:
        return f"{table.select}{where.sql()} ORDER BY {name} DESC, {table.key}{limit}"
    if not limit:
        return f"{table.select}{where.sql()} ORDER BY {name} DESC NULLS LAST, {table.key}"
    there = f"{table.select}{where.sql(f'{name} IS NOT NULL')} ORDER BY {name} DESC, {table.key}"
    missing = f"{table.select}{where.sql(f'{name} IS NULL')} ORDER BY {table.key}"
    return (
        f"SELECT * FROM (({there}{limit}) UNION ALL ({missing}{limit})) AS both_parts "  # noqa: S608
        f"ORDER BY {name} DESC NULLS LAST, {table.key}{limit}"
    )


def _where(table: RowTable, filters: Sequence[Filter]) -> _Where:
    where = _Where()
    for name, operator, value in filters:
        if operator not in _OPERATORS:
            raise ConfigurationError(
                f"{operator!r} is no operator; use {', '.join(sorted(_OPERATORS))}."
            )
        _add_filter(table.column[name], operator, value, where)
    return where


def _add_filter(column: RowColumn, operator: str, value: Any, where: _Where) -> None:
    if column.kind.equal is None or column.kind.bound is None:
        raise _incomparable(column, f"with {operator}")
    if operator == "in":
        _add_in(column, value, where)
    elif operator == "=":
        _add_in(column, [value], where)
    elif value is None:
        where.add("FALSE")  # None is neither less nor more than anything
    else:
        _add_bound(column, operator, value, where)


def _add_in(column: RowColumn, values: Sequence[Any], where: _Where) -> None:
    assert column.kind.equal is not None  # noqa: S101  asked before
    name, kept, wants_none = quoted(column.name), [], False
    for value in values:
        if value is None:
            wants_none = True
            continue
        try:
            kept.append(column.kind.equal(value))
        except NeverEqual:
            continue
    cast = f"::{column.kind.parameter}", f"::{column.kind.type}"
    conditions = [f"{name} IS NULL"] if wants_none else []
    if len(kept) == 1:
        conditions.append(f"{name} = {where.parameter(kept[0])}{''.join(cast)}")
    elif kept:
        array = "".join(f"{one}[]" for one in cast)
        conditions.append(f"{name} = ANY ({where.parameter(kept)}{array})")
    where.add(f"({' OR '.join(conditions)})" if conditions else "FALSE")


def _add_bound(column: RowColumn, operator: str, value: Any, where: _Where) -> None:
    assert column.kind.bound is not None  # noqa: S101  asked before
    try:
        bound = column.kind.bound(operator, value)
    except (NeverEqual, ValueError) as error:
        raise ConfigurationError(
            f"{column.field} {operator} {value!r} means nothing: the field is kept as "
            f"{column.kind.type}, and the value does not compare with it."
        ) from error
    cast = bound.cast or f"::{column.kind.parameter}"
    where.add(f"{quoted(column.name)} {bound.operator} {where.parameter(bound.value)}{cast}")


def _add_search(text: str, where: _Where) -> None:
    words = {word[:LONGEST_WORD] for word in words_of(text)}
    if not words:
        where.add("FALSE")
        return
    # Words are letters and digits only, so nothing in them is syntax; :* asks for words that begin
    # with it. A cast, unlike to_tsquery, takes words as they are.
    wanted = " & ".join(f"'{word}':*" for word in sorted(words))
    where.add(f"_words @@ {where.parameter(wanted)}::text::tsquery")


def _incomparable(column: RowColumn, how: str) -> ConfigurationError:
    return ConfigurationError(
        f"rows cannot be found by {column.field!r} {how}: values of its type do not compare in the "
        "database. Give the read model a field for it that does (a number, a text)."
    )

"""Find as SQL: filters, words and order over the fields of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.adapters.sqlite.row_field import RowField
from diptych.adapters.sqlite.row_table import RowTable, as_json
from diptych.adapters.sqlite.statements import quoted
from diptych.errors import ConfigurationError
from diptych.queries.matching import check_fields, words_of
from diptych.queries.read_store import Filter, Find

__all__ = ["count_sql", "find_sql"]

_OPERATORS = frozenset({"=", "<", "<=", ">", ">=", "in"})
_encode = msgspec.json.Encoder().encode


def find_sql(table: RowTable, find: Find) -> tuple[str, list[Any]]:
    """SQL that gives one JSON array of rows, and its parameters.

    Raises ConfigurationError for fields that are not declared, or do not compare in the database.
    """
    check_fields(table.shape, find)
    where, parameters = _where(table, find.filters)
    if find.search is not None:
        _add_search(table, find.search, where, parameters)
    if find.after_key is not None:
        if find.order_by is not None:
            raise ConfigurationError("after_key continues a scan by key: it goes with no order_by.")
        where.append("key < ?" if find.descending else "key > ?")
        parameters.append(find.after_key)
    select = f"{table.select}{_joined(where)} ORDER BY {_order(table, find)}"
    if find.limit is not None:
        select += " LIMIT ?"
        parameters.append(max(find.limit, 0))
    return as_json(select), parameters


def count_sql(table: RowTable, filters: Sequence[Filter]) -> tuple[str, list[Any]]:
    """SQL that counts the rows that meet the filters, and its parameters."""
    check_fields(table.shape, Find(tuple(filters)))
    where, parameters = _where(table, filters)
    return f"{table.count}{_joined(where)}", parameters


def _where(table: RowTable, filters: Sequence[Filter]) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    parameters: list[Any] = []
    for name, operator, value in filters:
        _add_filter(table.fields[name], operator, value, where, parameters)
    return where, parameters


def _add_filter(
    field: RowField, operator: str, value: Any, where: list[str], parameters: list[Any]
) -> None:
    if operator not in _OPERATORS:
        raise ConfigurationError(
            f"{operator!r} is no operator; use {', '.join(sorted(_OPERATORS))}."
        )
    if not (field.comparable if operator in {"=", "in"} else field.ordered):
        raise ConfigurationError(
            f"rows cannot be found by {field.name!r} {operator}: values of its type do not compare "
            "in the database. Give the read model a field for it that does (a number, a text)."
        )
    if operator == "=":
        where.append(f"{field.expression} IS ?")
        parameters.append(field.bind(value))
    elif operator == "in":
        _add_in(field, value, where, parameters)
    else:
        where.append(f"{field.expression} {operator} ?")
        parameters.append(field.bind(value))


def _add_in(field: RowField, value: Any, where: list[str], parameters: list[Any]) -> None:
    values = [field.bind(each) for each in value]
    condition = f"{field.expression} IN (SELECT value FROM json_each(?))"  # noqa: S608
    if None in values:  # NULL is in no list
        condition = f"({condition} OR {field.expression} IS NULL)"
    where.append(condition)
    parameters.append(_encode(values).decode())


def _add_search(table: RowTable, text: str, where: list[str], parameters: list[Any]) -> None:
    words = words_of(text)
    if not words:
        where.append("FALSE")
        return
    search = quoted(f"{table.name}_search")
    where.append(f"id IN (SELECT rowid FROM {search} WHERE {search} MATCH ?)")  # noqa: S608
    # Each word is quoted, so nothing in it is syntax; the star asks for words that begin with it.
    parameters.append(" ".join(f'"{word}"*' for word in words))


def _order(table: RowTable, find: Find) -> str:
    direction = "DESC" if find.descending else "ASC"
    if find.order_by is None:
        return f"key {direction}"
    field = table.fields[find.order_by]
    if not field.ordered:
        raise ConfigurationError(
            f"rows cannot be ordered by {field.name!r}: values of its type do not compare in the "
            "database. Give the read model a field for it that does (a number, a text)."
        )
    return f"{field.expression} {direction} NULLS LAST, key"


def _joined(where: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(where)}" if where else ""

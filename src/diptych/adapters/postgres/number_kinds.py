"""Kinds of numbers, compared as Python compares them: exactly, whatever types meet."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from diptych.adapters.postgres.value_kind import (
    Bound,
    NeverEqual,
    Unkeepable,
    kind,
    of,
    only,
)

__all__ = ["number_kinds"]

_INT64 = range(-(2**63), 2**63)
_MOST_DIGITS, _MOST_DECIMALS = 131_072, 16_383
_NUMERIC = "::text::numeric"


def _keep_int(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    raise Unkeepable(f"it is {value!r}, which is no int")


def _int_refusal(value: Any) -> str | None:
    if value in _INT64:
        return None
    return f"{value} is beyond 64 bits (bigint). Annotate the field `Decimal`, or `str`"


def _equal_int(value: Any) -> int:
    if not isinstance(value, int | float | Decimal) or not _is_finite(value):
        raise NeverEqual
    if int(value) != value or int(value) not in _INT64:
        raise NeverEqual
    return int(value)


def _bound_int(operator: str, value: Any) -> Bound:
    try:
        return Bound(operator, _equal_int(value))
    except NeverEqual:
        return _bound_numeric(operator, value)


def _keep_float(value: Any) -> float:
    try:
        if isinstance(value, int | float) and float(value) == value:
            return float(value)
    except OverflowError:
        pass
    raise Unkeepable(f"it is {value!r}, which is no float")


def _equal_float(value: Any) -> float:
    try:
        if isinstance(value, int | float | Decimal) and (near := float(value)) == value:
            return near
    except OverflowError:
        pass
    raise NeverEqual


def _bound_float(operator: str, value: Any) -> Bound:
    """Compare with the nearest float, whether it lies above or below the value."""
    if not isinstance(value, int | float | Decimal) or value != value:  # noqa: PLR0124  NaN
        raise NeverEqual
    try:
        near = float(value)
    except OverflowError:
        near = math.inf if value > 0 else -math.inf
    if near < value:
        operator = {"<": "<=", ">=": ">"}.get(operator, operator)
    elif near > value:
        operator = {"<=": "<", ">": ">="}.get(operator, operator)
    return Bound(operator, near)


def _keep_decimal(value: Any) -> str:
    if isinstance(value, Decimal | int):
        return str(value if type(value) is not bool else int(value))
    if isinstance(value, float):
        return str(Decimal(value))
    raise Unkeepable(f"it is {value!r}, which is no Decimal")


def _decimal_refusal(value: Any) -> str | None:
    number = Decimal(value)
    if number.is_snan():
        return "it is a signalling NaN, which PostgreSQL does not have"
    if not number.is_finite():
        return None
    if int(number.as_tuple().exponent) < -_MOST_DECIMALS or number.adjusted() >= _MOST_DIGITS:
        return f"{number} has more digits than a numeric. Annotate the field `str`"
    return None


def _equal_decimal(value: Any) -> str:
    if not isinstance(value, int | float | Decimal) or value != value:  # noqa: PLR0124  NaN
        raise NeverEqual
    return str(Decimal(value))


def _bound_numeric(operator: str, value: Any) -> Bound:
    return Bound(operator, _equal_decimal(value), _NUMERIC)


def _is_finite(value: Any) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)


def _equal_bool(value: Any) -> bool:
    if value in (False, True):
        return bool(value)
    raise NeverEqual


number_kinds = {
    "int": kind("bigint", _keep_int, of(int), _equal_int, refusal=_int_refusal, bound=_bound_int),
    "float": kind("double precision", _keep_float, of(float), _equal_float, bound=_bound_float),
    # As text, because the driver makes 0 of a Decimal that is too large.
    "decimal": kind(
        "numeric",
        _keep_decimal,
        of(),
        _equal_decimal,
        sent_as="text",
        refusal=_decimal_refusal,
        bound=_bound_numeric,
    ),
    "bool": kind("boolean", only(bool), of(bool), _equal_bool),
}

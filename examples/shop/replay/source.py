"""A CSV file of order lines, read whole and grouped into invoices."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["COLUMNS", "Invoice", "Line", "Source", "read_source"]

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)


class Line(NamedTuple):
    """One line; `number` counts the lines of its invoice from 1.

    `unreadable` says what could not be read; '' when everything could.
    """

    number: int
    stock_code: str
    description: str
    quantity: int
    at: datetime
    unit_price_pence: int
    customer_id: str
    country: str
    unreadable: str = ""


class Invoice(NamedTuple):
    """All lines of one invoice, in the order of the file, wherever in it they stand."""

    number: str
    lines: list[Line]


class Source(NamedTuple):
    """A whole file. `digest` tells one file from another; invoices stand as they begin in it."""

    name: str
    digest: str
    lines: int
    invoices: list[Invoice]
    last_day: date


def read_source(path: Path) -> Source:
    """Read a file of order lines, `.csv` or `.csv.gz`.

    Raises OSError, and ValueError when its first line does not name the columns.
    """
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    rows = csv.reader(io.StringIO(text.decode("utf-8-sig", errors="replace"), newline=""))
    header = tuple(next(rows, ()))
    if header != COLUMNS:
        raise ValueError(f"{path}: the first line must be {','.join(COLUMNS)}, not {header}")
    invoices: dict[str, list[Line]] = {}
    lines = 0
    for row in rows:
        lines += 1
        number = row[0].strip() if row else ""
        of_invoice = invoices.setdefault(number, [])
        of_invoice.append(_line(len(of_invoice) + 1, row))
    days = (line.at.date() for of_invoice in invoices.values() for line in of_invoice)
    return Source(
        path.name,
        hashlib.sha256(text).hexdigest()[:16],
        lines,
        [Invoice(number, of_invoice) for number, of_invoice in invoices.items()],
        max(days, default=date.min),
    )


_NEVER = datetime(1, 1, 1, tzinfo=UTC)


def _line(number: int, row: list[str]) -> Line:
    problem = "; ".join(_problems(row))
    if problem:
        return Line(number, "", "", 0, _NEVER, 0, "", "", problem)
    _, code, description, quantity, at, price, customer, country = row
    return Line(
        number,
        code.strip().upper(),  # 85123a and 85123A are one product
        description.strip(),
        int(quantity),
        _moment(at),
        _pence(price),
        customer.strip(),
        country.strip(),
    )


def _problems(row: list[str]) -> Iterator[str]:
    if len(row) != len(COLUMNS):
        yield f"{len(row)} columns instead of {len(COLUMNS)}"
        return
    if not row[0].strip():
        yield "no invoice number"
    if not row[1].strip():
        yield "no stock code"
    for name, read, text in (
        ("quantity", int, row[3]),
        ("date", _moment, row[4]),
        ("price", _pence, row[5]),
    ):
        try:
            read(text)
        except (ValueError, InvalidOperation):
            yield f"{name} {text[:40]!r}"


@lru_cache(maxsize=100_000)
def _moment(text: str) -> datetime:
    # The data says no time zone; any one will do, if it is always the same.
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@lru_cache(maxsize=100_000)
def _pence(text: str) -> int:
    return int((Decimal(text) * 100).quantize(Decimal(1), ROUND_HALF_UP))

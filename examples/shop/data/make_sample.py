"""Make sample.csv.gz: about 3,000 real lines, whole invoices, some of everything.

`python -m diptych_examples.shop.data.make_sample`
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
MOST_LINES = 3_000
CUSTOMERS = 40
"""Customers who bought and brought something back: all their invoices are in the sample."""
MOST_OF_ONE = 60
"""Lines that one of them may have."""
NOTES = 60
"""Notes about stock of goods that are sold in the sample."""
GUESTS = 12
"""Invoices without customer, of at most this many lines each."""
GUEST_LINES = 40
RETURNS_OF_NOBODY = 12
"""Returns without customer."""

Row = list[str]


def invoices_of(rows: list[Row]) -> dict[str, list[Row]]:
    """Lines by invoice, in the order of the file."""
    invoices: dict[str, list[Row]] = {}
    for row in rows:
        invoices.setdefault(row[0], []).append(row)
    return invoices


def customers(invoices: dict[str, list[Row]]) -> set[str]:
    """Customers with few enough lines: those with most returns, half of them abroad."""
    lines, returns, abroad = Counter[str](), Counter[str](), set[str]()
    for number, rows in invoices.items():
        customer = rows[0][6]
        lines[customer] += len(rows)
        returns[customer] += len(rows) * number.startswith("C")
        if rows[0][7] != "United Kingdom":
            abroad.add(customer)
    returning = [one for one in lines if one and returns[one] > 1 and lines[one] <= MOST_OF_ONE]
    returning.sort(key=lambda one: (-returns[one], one))
    away = [one for one in returning if one in abroad][: CUSTOMERS // 2]
    return {*away, *[one for one in returning if one not in abroad][: CUSTOMERS // 2]}


def chosen(invoices: dict[str, list[Row]]) -> set[str]:
    """The numbers of the sample's invoices."""
    wanted = customers(invoices)
    picked = {number for number, rows in invoices.items() if rows[0][6] in wanted}
    anonymous = {number: rows for number, rows in invoices.items() if not rows[0][6]}
    priced = [n for n, rows in anonymous.items() if any(float(row[5]) for row in rows)]
    picked |= set([n for n in priced if n.startswith("C")][:RETURNS_OF_NOBODY])
    guests = [n for n in priced if n[0] != "C" and len(anonymous[n]) <= GUEST_LINES]
    picked |= set(guests[:: len(guests) // GUESTS])
    picked.add(list(invoices)[-1])  # the damaged last line is in it
    for number, rows in invoices.items():
        if sum(len(invoices[one]) for one in picked) >= MOST_LINES - 2 * NOTES:
            break
        if rows[0][6] and len(rows) <= GUEST_LINES:
            picked.add(number)
    # Notes about goods that were sold, and some about goods that were not.
    sold = {row[1] for number in picked for row in invoices[number]}
    notes = [n for n in anonymous if n not in priced and len(anonymous[n]) == 1]
    known = [n for n in notes if anonymous[n][0][1] in sold]
    unknown = [n for n in notes if anonymous[n][0][1] not in sold]
    found = [n for n in known if int(anonymous[n][0][3]) > 0 and anonymous[n][0][2]]
    some = known[:: len(known) // NOTES], unknown[:: len(unknown) // 20], found
    return picked.union(*some)


def main() -> None:
    """Write the sample; the same bytes every time."""
    with gzip.open(HERE / "online_retail.csv.gz", "rt", encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    invoices = invoices_of(rows)
    numbers = chosen(invoices)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(row for row in rows if row[0] in numbers)
    packed = gzip.compress(text.getvalue().encode(), 9, mtime=0)
    (HERE / "sample.csv.gz").write_bytes(packed)
    print(f"{len(numbers)} invoices, {sum(row[0] in numbers for row in rows)} lines")


if __name__ == "__main__":
    main()

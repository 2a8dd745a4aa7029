"""The shop's tables, as a team would have drawn them before it ever heard of events: normalized.

What can be computed is not stored: no total of an order, no count of the shelf. What happened stays
as it was: names and prices stand on the lines of an order.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

__all__ = [
    "TABLES",
    "cart_lines",
    "carts",
    "customers",
    "order_lines",
    "orders",
    "products",
    "purchases",
    "replays",
    "returns",
    "stock_movements",
]

TABLES = MetaData()
"""All of them: `TABLES.create_all`, or a first migration."""


class Moment(TypeDecorator[datetime]):
    """A time in UTC. SQLite has no times: there it is the text that JSON would have."""

    impl = TIMESTAMP(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Text where there is nothing else."""
        kind = Text() if dialect.name == "sqlite" else TIMESTAMP(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """`2010-12-01T08:26:00Z`."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """With its time zone."""
        return datetime.fromisoformat(value) if isinstance(value, str) else value


def _number() -> Column[int]:
    """Counts rows in the order in which they were written."""
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column("number", kind, Identity(), primary_key=True)


def _text(name: str, *more: Any, **options: Any) -> Column[str]:
    return Column(name, Text, *more, nullable=False, **options)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _version() -> Column[int]:
    """Kept by diptych: who writes over a version that he has not seen is told so."""
    return Column("version", Integer, nullable=False, server_default="0")


def _at(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, Moment, nullable=nullable)


customers = Table(
    "customers",
    TABLES,
    _text("customer_id", primary_key=True),
    _version(),
    _text("name"),
    _text("country"),
)

purchases = Table(  # what a customer bought and did not bring back
    "purchases",
    TABLES,
    _text("customer_id", ForeignKey("customers.customer_id"), primary_key=True),
    _text("stock_code", primary_key=True),
    _count("pieces"),
)

returns = Table(  # a return may bring back the same product twice, at two prices
    "returns",
    TABLES,
    _number(),
    _text("return_id"),
    _text("customer_id", ForeignKey("customers.customer_id"), index=True),
    _text("country"),
    _text("stock_code", index=True),
    _count("quantity"),
    _count("refund_pence"),
    _at("returned_at"),
)

products = Table(
    "products",
    TABLES,
    _text("stock_code", primary_key=True),
    _version(),
    _text("name"),
    Column("stocked", Boolean, nullable=False),
)

stock_movements = Table(  # goods that came in or got lost; sales and returns stand elsewhere
    "stock_movements",
    TABLES,
    _number(),
    _text("stock_code", ForeignKey("products.stock_code"), index=True),
    _text("kind"),  # received, written off
    _count("quantity"),
    _text("note"),
    _at("moved_at"),
)

carts = Table(
    "carts",
    TABLES,
    _text("cart_id", primary_key=True),
    _version(),
    _text("customer_id"),
    _text("country"),
    _at("last_added_at"),
    _at("checked_out_at", nullable=True),
)

cart_lines = Table(
    "cart_lines",
    TABLES,
    _text("cart_id", ForeignKey("carts.cart_id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    _text("stock_code"),  # no foreign key: a cart trusts the offer, as its aggregate does
    _text("name"),
    _count("quantity"),
    _count("unit_price_pence"),
    UniqueConstraint("cart_id", "stock_code", "unit_price_pence"),
)

orders = Table(
    "orders",
    TABLES,
    _text("order_id", primary_key=True),
    _version(),
    _text("customer_id"),  # no foreign key: guests have no account
    Column("nth", Integer),  # of this customer, from 1: times may be the same. Guests have none
    _text("customer_name"),
    _text("country"),
    _at("placed_at"),
    _at("shipped_at", nullable=True),
    Index("orders_by_customer", "customer_id", "nth"),
)

order_lines = Table(
    "order_lines",
    TABLES,
    _text("order_id", ForeignKey("orders.order_id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    _text("stock_code"),
    _text("name"),
    _count("quantity"),
    _count("unit_price_pence"),
    Index("order_lines_by_product", "stock_code", "quantity"),
)

replays = Table(  # no part of the shop: how far the replay of real orders has come
    "replays",
    TABLES,
    _text("replay_id", primary_key=True),
    _version(),
    _text("state"),
)

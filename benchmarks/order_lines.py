"""The order lines that every benchmark and every peer stores; standard library only.

Peers run in an interpreter that has none of our dependencies, so what both sides must agree on
lives here.
"""

import random
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

LINES_PER_CART = 10

# Together with the other fields this makes an event of about 186 bytes of JSON.
NOTE = "white hanging heart t-light holder, gift wrapped, deliver to the side door, ring twice; "
NOTE += "leave with the neighbour at number 7 if out"


class OrderLine(NamedTuple):
    """One line of one cart: the fields of the event, and the stream it belongs to."""

    cart: str
    version: int
    sku: str
    qty: int
    price: float


def order_lines(count: int, keys: int, seed: int = 1) -> Iterator[OrderLine]:
    """Yield `count` lines over `keys` articles, in carts of ten, the same for the same seed.

    The lines of ten carts are interleaved, as those of simultaneous customers are.
    """
    chance = random.Random(seed)
    block = LINES_PER_CART * 10
    for number in range(count):
        cart = cart_id(number // block * 10 + number % 10)
        yield OrderLine(
            cart=cart,
            version=number % block // 10 + 1,
            sku=f"sku-{chance.randrange(keys):06d}",
            qty=chance.randint(1, 9),
            price=chance.randint(100, 9_999) / 100,
        )


def cart_id(number: int) -> str:
    """Name a cart like a random id, so that the index on streams is written out of order."""
    return f"cart-{blake2b(number.to_bytes(8), digest_size=8).hexdigest()}"

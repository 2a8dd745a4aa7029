"""The event of all benchmarks but the commands one, encoded as every floor and log stores it."""

import msgspec

from benchmarks.order_lines import NOTE

RECORDED_AT = 1_763_600_000_000_000


class ItemAdded(msgspec.Struct, frozen=True, gc=False):
    """A line of a cart: about 186 bytes of JSON."""

    sku: str
    qty: int
    price: float
    note: str


SAMPLE = ItemAdded(sku="sku-000042", qty=3, price=12.75, note=NOTE)
DATA = msgspec.json.encode(SAMPLE)
# What travels beside the data: who, why, which command. About 125 bytes.
META = msgspec.json.encode(
    {
        "id": "0193479e3b1c7d0e9a51f0c2a7b3d4e5",
        "causation": "0193479e3b1a7c44b2d0c1e2f3a4b5c6",
        "actor": "u-17850",
        "at": RECORDED_AT,
    }
)

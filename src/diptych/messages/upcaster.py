"""Old stored shapes to new ones: one small function per step, chained up to the present version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Upcaster", "upcaster"]

Shape = dict[str, Any]


class Upcaster(msgspec.Struct, frozen=True):
    """Brings the JSON object of event type `name` at `version` to the shape of `version + 1`."""

    name: str
    version: int
    upcast: Callable[[Shape], Shape]

    def __call__(self, shape: Shape) -> Shape:
        """Upcast one stored object; must not look at anything but its argument."""
        return self.upcast(shape)


def upcaster(name: str, version: int) -> Callable[[Callable[[Shape], Shape]], Upcaster]:
    """Make an upcaster of a function; list it among the application's handlers.

    ```python
    @upcaster("ItemAddedToCart", version=1)  # version 1 had no quantity
    def quantity_was_one(shape):
        return {**shape, "quantity": 1}
    ```
    """

    def make(function: Callable[[Shape], Shape]) -> Upcaster:
        return Upcaster(name, version, function)

    return make

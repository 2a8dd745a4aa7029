"""What type checkers see of the public names. Checked by pyright in strict mode and by mypy.

Nothing here is about behaviour: what must be a `CartPage | None` is assigned to one, and a checker
that sees anything else fails the build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from diptych import (
    Aggregate,
    App,
    Command,
    Decider,
    Done,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    Rejection,
    Token,
    UnitOfWork,
    keyed_by,
    message,
    upcaster,
)


class AddItem(Command):
    cart_id: str
    quantity: int = 1


class ItemAdded(Event, version=2, tags=("cart_id",)):
    cart_id: str
    quantity: int


class Cart(Aggregate, key="cart_id"):
    pieces: int = 0

    def add(self, command: AddItem) -> ItemAdded:
        if command.quantity < 1:
            raise Rejection("at least one")
        return ItemAdded(command.cart_id, command.quantity)

    def added(self, event: ItemAdded) -> None:
        self.pieces += event.quantity


class CartPage(ReadModel, key="cart_id", indexes=("pieces",)):
    cart_id: str
    pieces: int = 0


class CartPages(Projection[CartPage]):
    @keyed_by("cart_id")
    def added(self, page: CartPage, event: ItemAdded) -> None:
        page.pieces += event.quantity


class GetCart(Query[CartPage | None]):
    cart_id: str


class LargestCarts(Query[list[CartPage]]):
    limit: int = 3


async def get_cart(query: GetCart, carts: Reader[CartPage]) -> CartPage | None:
    return await carts.get(query.cart_id)


async def largest(query: LargestCarts, carts: Reader[CartPage]) -> list[CartPage]:
    found = await carts.find(order_by="-pieces", limit=query.limit)
    assert_type(found, list[CartPage])
    return found


async def empty_both(command: AddItem, work: UnitOfWork) -> None:
    await work.record(Cart, command.cart_id, ItemAdded(command.cart_id, 1))


@message(name="plain-item-added")
@dataclass(frozen=True)
class PlainItemAdded:
    cart_id: str


@upcaster("ItemAdded", version=1)
def one_piece(shape: dict[str, object]) -> dict[str, object]:
    return {**shape, "quantity": 1}


def decide(command: AddItem, state: int) -> ItemAdded:
    return ItemAdded(command.cart_id, command.quantity + state * 0)


def evolve(state: int, event: ItemAdded) -> int:
    return state + event.quantity


counter = Decider("Counter", key="cart_id", initial=int, decide=decide, evolve=evolve)


async def use(app: App) -> None:
    done = await app.dispatch(AddItem("c1", quantity=2), id="key-1")
    assert_type(done, Done)
    assert_type(done.token, Token)
    assert_type(await app.ask(GetCart("c1"), after=done.token), CartPage | None)
    assert_type(await app.ask(LargestCarts(), consistency="write_model"), list[CartPage])


def test_an_application_can_be_made_of_these() -> None:
    app = App("typed", [Cart, CartPages, get_cart, largest, one_piece])
    assert app.name == "typed"

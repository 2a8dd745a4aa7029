"""What the shop accepts and what it rejects, decided by plain calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from diptych_examples.shop import rejections
from diptych_examples.shop.commands.carts import Cart
from diptych_examples.shop.commands.customers import Customer
from diptych_examples.shop.commands.orders import Order
from diptych_examples.shop.commands.products import Product
from diptych_examples.shop.messages.commands import (
    AddItemToCart,
    ListProduct,
    ReceiveStock,
    RegisterCustomer,
    ReturnItems,
    ShipOrder,
    WriteOffStock,
)
from diptych_examples.shop.messages.events import (
    CartCheckedOut,
    CustomerRegistered,
    ItemAddedToCart,
    ItemsBought,
    ItemsReturned,
    OrderLine,
    OrderShipped,
    StockReceived,
    StockWrittenOff,
)

AT = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)


def add(**changes: Any) -> AddItemToCart:
    values = {
        "cart_id": "1",
        "customer_id": "anna",
        "country": "EIRE",
        "stock_code": "22423",
        "name": "CAKESTAND",
        "quantity": 2,
        "unit_price_pence": 1275,
        "at": AT,
    }
    return AddItemToCart(**{**values, **changes})


def added(**changes: Any) -> ItemAddedToCart:
    return Cart().add(add(**changes))


def bring_back(quantity: int = 1, stock_code: str = "22423") -> ReturnItems:
    return ReturnItems("C1", "anna", "EIRE", stock_code, quantity, 1275, AT)


def anna() -> Customer:
    customer = Customer()
    customer.registered(CustomerRegistered("anna", "Anna", "EIRE"))
    customer.bought(ItemsBought("anna", "1", {"22423": 2}))
    return customer


class TestCart:
    def test_an_offer_is_put_in_as_it_was_shown(self):
        event = added()
        assert (event.name, event.quantity, event.unit_price_pence) == ("CAKESTAND", 2, 1275)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"name": ""}, rejections.Blank),
            ({"quantity": 0}, rejections.Impossible),
            ({"quantity": -3}, rejections.Impossible),
            ({"unit_price_pence": -1}, rejections.Impossible),
            ({"country": "Unit"}, rejections.UnknownCountry),
        ],
    )
    def test_an_impossible_offer_is_rejected(self, changes: dict[str, Any], reason: type):
        with pytest.raises(reason):
            Cart().add(add(**changes))

    def test_a_gift_costs_nothing(self):
        assert added(unit_price_pence=0).unit_price_pence == 0

    def test_a_cart_goes_to_one_country(self):
        cart = Cart()
        cart.item_added(added())
        with pytest.raises(rejections.OtherCountry):
            cart.add(add(country="France"))

    def test_the_same_at_the_same_price_is_one_line(self):
        cart = Cart()
        for event in (added(), added(quantity=3), added(unit_price_pence=1095)):
            cart.item_added(event)
        assert cart.to_order("1") == (
            OrderLine("22423", "CAKESTAND", 5, 1275),
            OrderLine("22423", "CAKESTAND", 2, 1095),
        )

    def test_an_empty_cart_cannot_be_checked_out(self):
        with pytest.raises(rejections.EmptyCart):
            Cart().to_order("1")

    def test_a_cart_is_checked_out_once(self):
        cart = Cart()
        cart.item_added(added())
        cart.checked_out(CartCheckedOut("1", AT))
        with pytest.raises(rejections.CartClosed):
            cart.to_order("1")
        with pytest.raises(rejections.CartClosed):
            cart.add(add())


class TestCustomer:
    def test_an_account_is_opened_once(self):
        with pytest.raises(rejections.AlreadyRegistered):
            anna().register(RegisterCustomer("anna", "Anna", "EIRE"))

    def test_what_was_bought_may_come_back(self):
        event = anna().bring_back(bring_back(2))
        assert (event.quantity, event.refund_pence) == (2, 2550)

    def test_more_than_was_bought_may_not_come_back(self):
        with pytest.raises(rejections.BoughtFewer) as caught:
            anna().bring_back(bring_back(3))
        assert caught.value.has == 2

    def test_what_came_back_does_not_come_back_again(self):
        customer = anna()
        customer.returned(ItemsReturned("C1", "anna", "EIRE", "22423", 2, 2550, AT))
        with pytest.raises(rejections.BoughtFewer):
            customer.bring_back(bring_back(1))

    def test_what_was_never_bought_does_not_come_back(self):
        with pytest.raises(rejections.NeverBought):
            anna().bring_back(bring_back(stock_code="POST"))

    def test_nothing_comes_back_from_strangers(self):
        with pytest.raises(rejections.UnknownCustomer):
            Customer().bring_back(bring_back())

    def test_nothing_is_no_return(self):
        with pytest.raises(rejections.Impossible):
            anna().bring_back(bring_back(-1))


class TestProduct:
    goods = Product(name="CAKESTAND", stocked=True)

    def test_a_product_is_listed_once_under_a_name(self):
        with pytest.raises(rejections.AlreadyListed):
            self.goods.offer(ListProduct("22423", "OTHER"))
        with pytest.raises(rejections.Blank):
            Product().offer(ListProduct("22423", ""))

    def test_a_write_off_needs_no_reason(self):
        event = self.goods.write_off(WriteOffStock("22423", 3, "", AT))
        assert event == StockWrittenOff("22423", 3, "", AT)

    def test_a_receipt_does(self):
        event = self.goods.receive(ReceiveStock("22423", 3, "found", AT))
        assert event == StockReceived("22423", 3, "found", AT)
        with pytest.raises(rejections.Blank):
            self.goods.receive(ReceiveStock("22423", 3, "", AT))

    def test_goods_the_shop_does_not_know_are_not_counted(self):
        with pytest.raises(rejections.UnknownProduct):
            Product().write_off(WriteOffStock("?", 3, "lost", AT))

    def test_postage_lies_on_no_shelf(self):
        with pytest.raises(rejections.NoStockKept):
            Product(name="POSTAGE").receive(ReceiveStock("POST", 1, "found", AT))

    def test_nothing_is_no_quantity(self):
        with pytest.raises(rejections.Impossible):
            self.goods.write_off(WriteOffStock("22423", 0, "", AT))


class TestOrder:
    def test_an_order_that_was_not_placed_does_not_ship(self):
        with pytest.raises(rejections.UnknownOrder):
            Order().ship(ShipOrder("1", AT))

    def test_a_parcel_leaves_once(self):
        order = Order(customer_id="anna")
        assert order.ship(ShipOrder("1", AT)) == OrderShipped("1", "anna", AT)
        order.sent(OrderShipped("1", "anna", AT))
        with pytest.raises(rejections.AlreadyShipped):
            order.ship(ShipOrder("1", AT))

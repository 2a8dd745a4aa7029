"""What the shop's screens show after what has happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from diptych import App
from diptych_examples.shop.app import shop
from diptych_examples.shop.messages.commands import (
    GUEST,
    AddItemToCart,
    CheckOut,
    ListProduct,
    ReceiveStock,
    RegisterCustomer,
    ReturnItems,
    ShipOrder,
    WriteOffStock,
)
from diptych_examples.shop.queries.abandoned_carts import FindAbandonedCarts
from diptych_examples.shop.queries.cart_pages import CartLine, GetCart
from diptych_examples.shop.queries.customer_orders import GetCustomerOrders
from diptych_examples.shop.queries.customer_profiles import (
    FindBestCustomers,
    GetCustomerProfile,
)
from diptych_examples.shop.queries.order_summaries import FindLargestOrders, GetOrder
from diptych_examples.shop.queries.product_pages import GetProduct, SearchProducts
from diptych_examples.shop.queries.sales import CountrySales, GetSalesByCountry, GetSalesDays
from diptych_examples.shop.queries.shipping_dashboard import GetShippingDashboard
from diptych_examples.shop.rejections import CartClosed, EmptyCart, UnknownCustomer

AT = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
DAY = timedelta(days=1)
TEA, STAND = ("22697", "GREEN TEACUP", 295), ("22423", "CAKESTAND", 1275)


async def put(
    app: App,
    cart: str,
    customer: str,
    product: tuple[str, str, int],
    quantity: int = 1,
    at: datetime = AT,
) -> None:
    code, name, pence = product
    await app.dispatch(AddItemToCart(cart, customer, "EIRE", code, name, quantity, pence, at))


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """Anna ordered twice and shipped once, a guest ordered once, Ben left a cart behind."""
    async with shop() as app:
        await app.dispatch(RegisterCustomer("anna", "Anna", "EIRE"))
        await app.dispatch(RegisterCustomer("ben", "Ben", "France"))
        for code, name, _ in (TEA, STAND):
            await app.dispatch(ListProduct(code, name))
        await put(app, "1", "anna", TEA, 6)
        await put(app, "1", "anna", STAND)
        await put(app, "1", "anna", TEA, 2)
        await app.dispatch(CheckOut("1", AT))
        await app.dispatch(ShipOrder("1", AT + DAY))
        await put(app, "2", "anna", STAND, at=AT + DAY)
        await app.dispatch(CheckOut("2", AT + DAY))
        await put(app, "3", GUEST, TEA)
        await app.dispatch(CheckOut("3", AT + 2 * DAY))
        await put(app, "4", "ben", TEA, 3)
        await app.dispatch(ReturnItems("C5", "anna", "EIRE", "22697", 2, 295, AT + 3 * DAY))
        await app.dispatch(WriteOffStock("22697", 4, "broken", AT))
        await app.dispatch(ReceiveStock("22697", 5, "found", AT))
        await app.settle()
        yield app
        await app.settle()
        assert (await app.verify()).ok


async def test_the_cart_page_has_a_line_per_product_and_price(app: App):
    page = await app.ask(GetCart("1"))
    assert page is not None
    assert page.lines == [
        CartLine("22697", "GREEN TEACUP", 8, 295),
        CartLine("22423", "CAKESTAND", 1, 1275),
    ]
    assert (page.pieces, page.total_pence, page.checked_out) == (9, 8 * 295 + 1275, True)


async def test_the_order_summary_needs_no_other_table(app: App):
    order = await app.ask(GetOrder("1"))
    assert order is not None
    assert (order.customer_name, order.total_pence, order.item_count) == ("Anna", 3635, 9)
    assert order.product_names == ("GREEN TEACUP", "CAKESTAND")
    assert (order.status, order.shipped_at) == ("shipped", AT + DAY)
    assert [one.order_id for one in await app.ask(FindLargestOrders(2))] == ["1", "2"]


async def test_the_orders_of_a_customer_stand_newest_first(app: App):
    row = await app.ask(GetCustomerOrders("anna"))
    assert row is not None
    assert [(one.order_id, one.shipped) for one in row.orders] == [("2", False), ("1", True)]
    assert await app.ask(GetCustomerOrders(GUEST)) is None


async def test_the_profile_counts_along(app: App):
    profile = await app.ask(GetCustomerProfile("anna"))
    assert profile is not None
    assert (profile.orders, profile.spent_pence, profile.pieces) == (2, 4910, 10)
    assert (profile.returns, profile.refunded_pence) == (1, 590)
    assert (profile.first_order_at, profile.last_order_at) == (AT, AT + DAY)
    assert [one.name for one in await app.ask(FindBestCustomers(1))] == ["Anna"]


async def test_the_dashboard_shows_the_parcels_that_wait(app: App):
    dashboard = await app.ask(GetShippingDashboard())
    assert dashboard.waiting == 2
    assert [one.order_id for one in dashboard.next] == ["2", "3"]


async def test_sales_add_up_by_country_and_day(app: App):
    days = await app.ask(GetSalesDays("EIRE", "2010-12-01", "2010-12-02"))
    assert [(one.day, one.orders, one.revenue_pence) for one in days] == [
        ("2010-12-01", 1, 3635),
        ("2010-12-02", 1, 1275),
    ]
    assert await app.ask(GetSalesByCountry()) == {"EIRE": CountrySales(3, 11, 5205, 590)}


async def test_products_are_found_by_words_and_counted(app: App):
    assert [one.stock_code for one in await app.ask(SearchProducts("teacup gre"))] == ["22697"]
    assert await app.ask(SearchProducts("teacup cakestand")) == []
    page = await app.ask(GetProduct("22697"))
    assert page is not None
    assert (page.sold, page.returned, page.written_off, page.received) == (9, 2, 4, 5)
    assert page.on_hand == 5 + 2 - 9 - 4


async def test_a_cart_nobody_came_back_to_is_found(app: App):
    carts = await app.ask(FindAbandonedCarts(AT + DAY))
    assert [(one.cart_id, one.customer_id, one.pieces) for one in carts] == [("4", "ben", 3)]
    assert await app.ask(FindAbandonedCarts(AT)) == []


async def test_a_check_out_is_all_or_nothing(app: App):
    await put(app, "6", "nobody", TEA)
    head = await app.log.head()
    with pytest.raises(UnknownCustomer):
        await app.dispatch(CheckOut("6", AT))
    with pytest.raises(EmptyCart):
        await app.dispatch(CheckOut("7", AT))
    with pytest.raises(CartClosed):
        await app.dispatch(CheckOut("1", AT))
    assert await app.log.head() == head

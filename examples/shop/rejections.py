"""How the shop says no, in one tree. `code` is what programs and the demo's table count by.

```
Rejection
├── Blank                  a line that says nothing: no name and no price, or no note
├── Impossible             a quantity below one, or a price below zero
├── UnknownCountry         the shop does not deliver there
├── OtherCountry           a cart is delivered to one country
├── CartClosed             the cart was checked out
├── EmptyCart              there is nothing to check out
├── AlreadyListed          the product is on offer under another name
├── UnknownProduct         the shop never offered it
├── NoStockKept            postage, fees and vouchers lie on no shelf
├── AlreadyRegistered      the customer has an account
├── UnknownCustomer        goods come back only from customers the shop knows
├── NeverBought            the customer never bought this
├── BoughtFewer            the customer has fewer of them than come back
├── UnknownOrder           there is no such order
└── AlreadyShipped         a parcel leaves once
```
"""

from __future__ import annotations

from diptych import Rejection


class Blank(Rejection):
    """A line that says nothing."""

    code = "blank"


class Impossible(Rejection):
    """A quantity below one, or a price below zero."""

    code = "impossible"


class UnknownCountry(Rejection):
    """The shop does not deliver there. Facts: `country`."""

    code = "unknown_country"


class OtherCountry(Rejection):
    """A cart is delivered to one country. Facts: `country`."""

    code = "other_country"


class CartClosed(Rejection):
    """The cart was checked out."""

    code = "cart_closed"


class EmptyCart(Rejection):
    """There is nothing to check out."""

    code = "empty_cart"


class AlreadyListed(Rejection):
    """The product is on offer already."""

    code = "already_listed"


class UnknownProduct(Rejection):
    """The shop never offered this product."""

    code = "unknown_product"


class NoStockKept(Rejection):
    """Postage, fees and vouchers lie on no shelf."""

    code = "no_stock_kept"


class AlreadyRegistered(Rejection):
    """The customer has an account."""

    code = "already_registered"


class UnknownCustomer(Rejection):
    """Goods come back only from customers the shop knows."""

    code = "unknown_customer"


class NeverBought(Rejection):
    """The customer never bought this."""

    code = "never_bought"


class BoughtFewer(Rejection):
    """The customer has fewer of them than come back. Facts: `has`."""

    code = "bought_fewer"


class UnknownOrder(Rejection):
    """There is no such order."""

    code = "unknown_order"


class AlreadyShipped(Rejection):
    """A parcel leaves once."""

    code = "already_shipped"

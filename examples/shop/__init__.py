"""A web shop, built as a team would build it: one folder per part of the drawing.

```
messages/   what travels          commands and events
commands/   LEFT PANEL            customers, products, carts, orders; check_out across three of them
queries/    RIGHT PANEL           one file per screen: read model, projection, query, its handler
app.py      binds both panels     shop(write="sqlite:///shop.db")
replay/     real orders           a CSV of 240,007 order lines becomes commands
demo.py     the replay with a progress bar, a report, and a proof that every read model is right
```

Read `messages/`, then `commands/carts.py`, then `queries/cart_pages.py`, then `app.py`. Everything
is explained, with the rules of the replay, in README.md beside this file.
"""

"""diptych: CQRS for Python, from one SQLite file to many machines with the same domain code.

A diptych is two panels joined by a hinge: `commands` decide, `queries` answer, and between them
`events` is the log that `sync` carries from left to right. `messages` is what travels, `adapters`
are the stores, `App` joins them all.

Names are loaded when first used, so importing diptych costs next to nothing.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as type checkers know it; importing typing would cost more than all of this

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.commands.aggregate import Aggregate
    from diptych.commands.decider import Decider
    from diptych.commands.envelope import CommandEnvelope, Done
    from diptych.commands.unit_of_work import UnitOfWork
    from diptych.environment import Environment
    from diptych.errors import Rejection
    from diptych.events.handler import EventHandler
    from diptych.events.token import Token
    from diptych.messages.envelope import Envelope
    from diptych.messages.kinds import Command, Event, Query, message
    from diptych.messages.upcaster import upcaster
    from diptych.queries.projection import Projection, Sql, SqlProjection, keyed_by
    from diptych.queries.read_model import ReadModel
    from diptych.queries.reader import Reader, SqlReader
    from diptych.queries.view import View

__version__ = "0.1.0"

_PLACES = {
    "Aggregate": "diptych.commands.aggregate",
    "App": "diptych.application",
    "Command": "diptych.messages.kinds",
    "CommandEnvelope": "diptych.commands.envelope",
    "Decider": "diptych.commands.decider",
    "Done": "diptych.commands.envelope",
    "Envelope": "diptych.messages.envelope",
    "Environment": "diptych.environment",
    "Event": "diptych.messages.kinds",
    "EventHandler": "diptych.events.handler",
    "Projection": "diptych.queries.projection",
    "Query": "diptych.messages.kinds",
    "ReadModel": "diptych.queries.read_model",
    "Reader": "diptych.queries.reader",
    "Rejection": "diptych.errors",
    "Sql": "diptych.queries.projection",
    "SqlProjection": "diptych.queries.projection",
    "SqlReader": "diptych.queries.reader",
    "Token": "diptych.events.token",
    "UnitOfWork": "diptych.commands.unit_of_work",
    "View": "diptych.queries.view",
    "keyed_by": "diptych.queries.projection",
    "message": "diptych.messages.kinds",
    "upcaster": "diptych.messages.upcaster",
}

__all__ = [
    "Aggregate",
    "App",
    "Command",
    "CommandEnvelope",
    "Decider",
    "Done",
    "Envelope",
    "Environment",
    "Event",
    "EventHandler",
    "Projection",
    "Query",
    "ReadModel",
    "Reader",
    "Rejection",
    "Sql",
    "SqlProjection",
    "SqlReader",
    "Token",
    "UnitOfWork",
    "View",
    "keyed_by",
    "message",
    "upcaster",
]


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'diptych' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(place), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])

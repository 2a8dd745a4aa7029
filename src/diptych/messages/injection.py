"""What a function handler wants beside its message, found by annotation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from diptych.errors import ConfigurationError
from diptych.messages.annotations import is_message, members_of, signature_of
from diptych.messages.registry import place_of

__all__ = ["FunctionSpec", "function_spec"]


class FunctionSpec(NamedTuple):
    """A handler function read once: the messages it takes, what else it wants, whether it waits."""

    function: Callable[..., Any]
    messages: tuple[type, ...]
    wants: tuple[tuple[str, Any], ...]
    returns: Any
    waits: bool

    def call(self, message: Any, wanted: dict[str, Any]) -> Any:
        """Call the function; the result is awaitable exactly when `waits`."""
        return self.function(message, **wanted)


def function_spec(function: Callable[..., Any]) -> FunctionSpec:
    """Read a function handler: its first parameter is the message, the others are wanted by type.

    Raises ConfigurationError when the first parameter names no message class, or another parameter
    has no annotation.
    """
    signature = signature_of(function)
    parameters = list(signature.parameters.items())
    first = members_of(parameters[0][1]) if parameters else ()
    if not first or not all(is_message(one) for one in first):
        raise ConfigurationError(
            f"{place_of(function)} is no handler: its first parameter must be annotated with a "
            "command or a query, as in def get_cart(query: GetCart, carts: Reader[CartPage])."
        )
    for name, wanted in parameters[1:]:
        if wanted is inspect.Parameter.empty:
            raise ConfigurationError(
                f"the parameter {name!r} of {place_of(function)} has no annotation, so nothing can "
                "be given to it."
            )
    waits = inspect.iscoroutinefunction(function)
    return FunctionSpec(function, first, tuple(parameters[1:]), signature.returns, waits)

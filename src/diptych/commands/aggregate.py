"""A write model as a class: methods that take a command decide, those that take an event evolve."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, dataclass_transform

import msgspec

from diptych.commands.decider import Decider
from diptych.errors import ConfigurationError
from diptych.messages.annotations import is_message, members_of, signature_of
from diptych.messages.kinds import Command, Event
from diptych.messages.registry import place_of

__all__ = ["Aggregate", "decider_of"]

_OPTIONS = "__diptych_aggregate__"


class AggregateOptions(msgspec.Struct, frozen=True):
    """The options of an aggregate class; see Aggregate."""

    key: str
    name: str
    snapshot_every: int | None
    snapshot_version: int


@dataclass_transform(field_specifiers=(msgspec.field,))
class AggregateMeta(msgspec.StructMeta):
    """Lets an aggregate say `class Cart(Aggregate, key="cart_id")`."""

    def __new__(
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        key: str | None = None,
        name: str | None = None,
        snapshot_every: int | None = None,
        snapshot_version: int = 1,
        **struct_options: Any,
    ) -> Any:
        """Make the struct, then note its options."""
        cls = super().__new__(mcls, class_name, bases, namespace, **struct_options)
        if not any(isinstance(base, AggregateMeta) for base in bases):
            return cls
        if key is None:
            raise ConfigurationError(
                f"the aggregate {class_name} names no key: class {class_name}(Aggregate, "
                'key="..."), the field of its commands that says which one is meant.'
            )
        options = AggregateOptions(key, name or class_name, snapshot_every, snapshot_version)
        setattr(cls, _OPTIONS, options)
        return cls


class Aggregate(msgspec.Struct, metaclass=AggregateMeta):
    """A write model: fields with defaults are its state, methods decide and evolve.

    ```python
    class Cart(Aggregate, key="cart_id"):
        items: dict[str, int] = {}

        def add(
            self, command: AddItemToCart
        ) -> ItemAddedToCart:  # decides; may raise Rejection
            return ItemAddedToCart(
                command.cart_id, command.item_id, command.quantity
            )

        def item_added(
            self, event: ItemAddedToCart
        ) -> None:  # evolves; never fails
            self.items[event.item_id] = (
                self.items.get(event.item_id, 0) + event.quantity
            )
    ```

    A decision must not change `self`; only an evolution does. Class options: `key` (required),
    `name` (of its streams, default the class name), `snapshot_every`, `snapshot_version`.
    """


def decider_of(cls: type[Aggregate]) -> Decider[Any]:
    """Read an aggregate class as a decider. Raises ConfigurationError naming what is wrong."""
    options: AggregateOptions = getattr(cls, _OPTIONS)
    try:
        cls()
    except TypeError as error:
        raise ConfigurationError(
            f"{place_of(cls)} cannot start empty: {error}. Give every field a default."
        ) from error
    decider: Decider[Any] = Decider(
        options.name,
        key=options.key,
        initial=cls,
        decide=(),
        evolve=(),
        snapshot_every=options.snapshot_every,
        snapshot_version=options.snapshot_version,
    )
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_"):
            _add_method(decider, method)
    if not decider.decide and not decider.evolve:
        raise ConfigurationError(
            f"{place_of(cls)} decides nothing and evolves by nothing: give it a method that takes "
            "a command and returns the events that follow, or one that takes an event."
        )
    return decider


def _add_method(decider: Decider[Any], method: Callable[..., Any]) -> None:
    signature = signature_of(method)
    kinds = list(signature.parameters.values())
    if len(kinds) == 1 and kinds[0] is inspect.Parameter.empty:
        raise ConfigurationError(
            f"the parameter of {place_of(method)} has no annotation: name the command or event it "
            "takes. A method that takes neither begins with an underscore."
        )
    if len(kinds) != 1 or not all(is_message(one) for one in members_of(kinds[0])):
        return  # an ordinary method
    if _decides(kinds[0], signature.returns):
        decider.add_decision(method, kinds[0], _deciding(method))
    elif signature.returns in (type(None), inspect.Signature.empty):
        decider.add_evolution(method, kinds[0], _evolving(method))
    else:
        raise ConfigurationError(
            f"{place_of(method)} evolves by changing self and returns nothing: annotate it -> None."
        )


def _decides(parameter: Any, returns: Any) -> bool:
    first = members_of(parameter)[0]
    if issubclass(first, Command | Event):
        return issubclass(first, Command)
    # Plain data has no kind of its own: what returns nothing evolves.
    return returns is not type(None)


def _deciding(method: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def decide(command: Any, state: Any) -> Any:
        return method(state, command)

    decide.__wrapped__ = method  # type: ignore[attr-defined]
    decide.__module__, decide.__qualname__ = method.__module__, method.__qualname__
    return decide


def _evolving(method: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def evolve(state: Any, event: Any) -> Any:
        method(state, event)
        return state

    evolve.__wrapped__ = method  # type: ignore[attr-defined]
    evolve.__module__, evolve.__qualname__ = method.__module__, method.__qualname__
    return evolve

"""The stream that an event names itself: `class OrderPlaced(Event, stream="order-{order_id}")`."""

from __future__ import annotations

from collections.abc import Collection
from string import Formatter
from typing import Any

from diptych.errors import ConfigurationError, InvalidMessage
from diptych.messages.codec import check_text

__all__ = ["check_template", "stream_named_by"]


def check_template(class_name: str, template: str, fields: Collection[str]) -> None:
    """Raise ConfigurationError when a template names no stream, or a field that there is not."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise _refusal(class_name, template, f"it cannot be read: {error}") from error
    named = [field for _, field, _, _ in parts if field is not None]
    if not template or any(form or kind for _, _, form, kind in parts):
        raise _refusal(class_name, template, "it takes text and {fields}, and no formats")
    for field in named:
        if field not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise _refusal(class_name, template, f"the event has no field {field!r}, only {known}")


def stream_named_by(event: Any, template: str) -> str:
    """The stream of one event. Raises InvalidMessage when a field that names it is empty."""
    made: list[str] = []
    for text, field, _, _ in Formatter().parse(template):
        made.append(text)
        if field is not None:
            value = getattr(event, field)
            if value is None or value == "":
                name = type(event).__name__
                raise InvalidMessage(
                    f"the field {field!r} of {name} is empty, so its stream {template!r} has no "
                    "name. Nothing was written.",
                    type=name,
                )
            made.append(str(value))
    stream = "".join(made)
    check_text(stream, f"the stream of {type(event).__name__}")
    return stream


def _refusal(class_name: str, template: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{class_name} cannot name its stream by {template!r}: {why}. Write, for example, "
        'stream="order-{order_id}".'
    )

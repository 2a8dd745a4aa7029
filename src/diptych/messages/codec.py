"""A message to JSON bytes and back, checked both ways.

Encoding reads its own result back: what cannot be decoded is refused before it is stored, so a log
never holds an event that no projection can read. That costs one decode (about 0.4 us) per message.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec

from diptych.errors import ConfigurationError, InvalidMessage

__all__ = ["MAX_MESSAGE_BYTES", "Codec", "check_text"]

MAX_MESSAGE_BYTES = 1_048_576
"""Largest encoded message. A message is a few facts; a document belongs in a store of its own."""

_encode = msgspec.json.Encoder().encode


def check_text(text: str, what: str) -> None:
    """Raise InvalidMessage for text that cannot be written down (half a surrogate pair)."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidMessage(f"{what} is no text: {error}.", type=what) from error


class Codec:
    """Encodes and decodes messages of one class: a msgspec struct, dataclass or pydantic model.

    Raises ConfigurationError when made for a class that JSON cannot carry.
    """

    __slots__ = ("_dump", "_exact", "bare_decode", "cls", "max_bytes", "name")

    def __init__(self, cls: type, name: str, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.cls = cls
        self.name = name
        self.max_bytes = max_bytes
        self._dump: Callable[[Any], bytes] = _encode
        self._exact = False
        if hasattr(cls, "model_validate_json"):
            self.bare_decode: Callable[[bytes], Any] = _pydantic_decoder(cls)
            self._dump = _pydantic_encode
            self._exact = True
            return
        try:
            info = msgspec.inspect.type_info(cls)
            decode: Callable[[bytes], Any] = msgspec.json.Decoder(cls).decode
        except TypeError as error:
            raise ConfigurationError(
                f"{cls.__module__}.{cls.__qualname__} cannot be a message: {error}. Use "
                "fields that JSON can carry: str, int, float, bool, datetime, UUID, Decimal, "
                "lists, dicts, structs."
            ) from error
        self._exact = _may_hold_a_float(info)
        self.bare_decode = (
            decode if issubclass(cls, msgspec.Struct) else _closed_decoder(cls, decode)
        )

    def encode(self, message: Any) -> bytes:
        """JSON bytes of `message`.

        Raises InvalidMessage when it does not fit its own type, holds NaN or infinity, or is larger
        than `max_bytes`.
        """
        try:
            data = self._dump(message)
            if len(data) > self.max_bytes:
                raise self._too_large(len(data))
            back = self.bare_decode(data)
        except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
            raise self._invalid(error) from error
        if self._exact and back != message:
            raise InvalidMessage(
                f"{self.name} does not survive being stored: {message!r} would be read back as "
                f"{back!r}. NaN and infinity cannot be stored; nothing was written.",
                type=self.name,
            )
        return data

    def decode(self, data: bytes) -> Any:
        """The message in `data`. Raises InvalidMessage naming the field that does not fit."""
        try:
            return self.bare_decode(data)
        except (msgspec.DecodeError, TypeError, ValueError, RecursionError) as error:
            raise self._invalid(error) from error

    def decode_from_outside(self, data: bytes) -> Any:
        """Like `decode`, for bytes from an untrusted edge: refuses oversized input unread."""
        if len(data) > self.max_bytes:
            raise self._too_large(len(data))
        return self.decode(data)

    def _invalid(self, error: Exception) -> InvalidMessage:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        if "got `null`" in why and "float" in why:
            why += " (NaN and infinity cannot be stored)"
        return InvalidMessage(f"{self.name} is not valid: {why}.", type=self.name, why=why)

    def _too_large(self, size: int) -> InvalidMessage:
        why = f"{size:,} bytes, the limit is {self.max_bytes:,}"
        return InvalidMessage(
            f"{self.name} is too large: {why}. Keep large content elsewhere and refer to it, or "
            "raise App(max_message_bytes=...).",
            type=self.name,
            why=why,
        )


def _closed_decoder(cls: type, decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A decoder that refuses unknown fields, which msgspec cannot ask of a dataclass."""
    if not dataclasses.is_dataclass(cls):
        return decode

    def closed(data: bytes) -> Any:
        message = decode(data)
        _refuse_unknown(msgspec.json.decode(data), msgspec.to_builtins(message), "$")
        return message

    return closed


def _pydantic_decoder(cls: Any) -> Callable[[bytes], Any]:
    def closed(data: bytes) -> Any:
        message = cls.model_validate_json(data)
        taken = message.model_dump(mode="json", by_alias=True)
        _refuse_unknown(msgspec.json.decode(data), taken, "$")
        return message

    return closed


def _pydantic_encode(message: Any) -> bytes:
    # Otherwise pydantic would warn of a value of a wrong type, and dump it all the same.
    return message.model_dump_json(by_alias=True, warnings="error").encode()  # type: ignore[no-any-return]


def _refuse_unknown(given: Any, taken: Any, at: str) -> None:
    """Raise for an object field that was given and is not in what was made of it, at any depth."""
    if isinstance(given, dict) and isinstance(taken, dict):
        for name, value in given.items():
            if name not in taken:
                raise msgspec.ValidationError(f"Object contains unknown field `{name}` - at `{at}`")
            _refuse_unknown(value, taken[name], f"{at}.{name}")
    elif isinstance(given, list) and isinstance(taken, list):
        for number, (one, made) in enumerate(zip(given, taken, strict=False)):
            _refuse_unknown(one, made, f"{at}[{number}]")


_MAY_BE_NAN = (
    msgspec.inspect.FloatType
    | msgspec.inspect.DecimalType
    | msgspec.inspect.AnyType
    | msgspec.inspect.CustomType
)


def _may_hold_a_float(info: Any) -> bool:
    """Whether a value of this type could hold NaN, which JSON turns into null without a word."""
    seen: set[int] = set()
    todo = [info]
    while todo:
        one = todo.pop()
        if isinstance(one, _MAY_BE_NAN):
            return True
        if id(one) in seen:
            continue
        seen.add(id(one))
        todo += _inner_types(one)
    return False


def _inner_types(info: Any) -> list[Any]:
    inner = [field.type for field in getattr(info, "fields", ()) or ()]
    for name in ("item_type", "key_type", "value_type", "type"):
        child = getattr(info, name, None)
        if isinstance(child, msgspec.inspect.Type):
            inner.append(child)
    for name in ("item_types", "types"):
        inner += list(getattr(info, name, ()) or ())
    return inner

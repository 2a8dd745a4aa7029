"""One effect per command id: the first answer is recorded with the append, and given again.

Only an id that the caller gave is recorded, because only then can anybody come back with it. A
rejection is an answer too.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import msgspec

from diptych.commands.envelope import CommandEnvelope, Done
from diptych.errors import CommandIdReused, InvalidMessage, Rejection, rebuild
from diptych.events.log import CommandRecord, EventLog
from diptych.events.token import Token
from diptych.messages.catalog import Catalog
from diptych.messages.codec import check_text
from diptych.messages.registry import Registry

__all__ = ["FirstAnswers", "check_command_id", "digest_of"]


class Refusal(msgspec.Struct, frozen=True):
    """A rejection as it is stored: its class by module and name, the sentence, and its facts."""

    type: str
    message: str
    facts: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of an answer; the events themselves are in the log."""

    stream: str = ""
    version: int = 0
    refusal: Refusal | None = None


_encode = msgspec.json.Encoder(enc_hook=repr).encode
_decode = msgspec.json.Decoder(Answer).decode
_encode_content = msgspec.json.Encoder(order="sorted").encode
_decode_content = msgspec.json.Decoder(dict[str, Any]).decode


class FirstAnswers:
    """Writes first answers into command records, and reads them back."""

    def __init__(self, log: EventLog, registry: Registry, commands: Catalog) -> None:
        self._log = log
        self._registry = registry
        self._commands = commands

    def record(
        self,
        envelope: CommandEnvelope,
        stream: str = "",
        version: int = 0,
        rejection: Rejection | None = None,
    ) -> CommandRecord | None:
        """The record of this answer; None when the caller gave no id. Raises InvalidMessage."""
        if envelope.command_id is None:
            return None
        refusal = None
        if rejection is not None:
            # What JSON does not know becomes text now, so that the first answer and every later one
            # are the same.
            rejection.facts = msgspec.json.decode(_encode(rejection.facts))
            refusal = Refusal(_name_of(type(rejection)), rejection.message, rejection.facts)
        digest = digest_of(envelope.command, self._commands)
        return CommandRecord(envelope.command_id, digest, _encode(Answer(stream, version, refusal)))

    async def known(self, envelope: CommandEnvelope) -> CommandRecord | None:
        """The record of an earlier answer to this command id, if there is one."""
        if envelope.command_id is None:
            return None
        return await self._log.command(envelope.command_id)

    async def again(self, envelope: CommandEnvelope, first: CommandRecord) -> Done:
        """Give the first answer again: return it, or raise the rejection it was.

        Raises CommandIdReused when the id came with another command then.
        """
        if first.digest != digest_of(envelope.command, self._commands):
            raise CommandIdReused(
                f"the command id {first.command_id!r} was used for another command. Nothing was "
                "done; give every command an id of its own.",
                command_id=first.command_id,
            )
        answer = _decode(first.answer)
        if answer.refusal is not None:
            raise _as_rejection(answer.refusal)
        last = first.first + first.events - 1 if first.events else 0
        stored = await self._log.read(first.first - 1, first.events) if first.events else []
        events = tuple(self._registry.decode(one.type, one.schema, one.data) for one in stored)
        alone = len({one.stream for one in stored}) <= 1
        token = Token(self._log.identity, last, *((answer.stream, answer.version) if alone else ()))
        return Done(token, events, answer.stream, answer.version, repeated=True)


MAX_COMMAND_ID = 200
"""Longest command id, in characters: a key to find an answer by, not a message."""


def check_command_id(command_id: object) -> None:
    """Raise InvalidMessage for what cannot identify a command."""
    if not isinstance(command_id, str) or not 0 < len(command_id) <= MAX_COMMAND_ID:
        raise InvalidMessage(
            f"a command id is a text of 1 to {MAX_COMMAND_ID} characters, not "
            f"{repr(command_id)[:80]}. Give every command an id of its own, or none.",
            type="command id",
        )
    check_text(command_id, "the command id")


def digest_of(command: Any, commands: Catalog) -> bytes:
    """16 bytes that tell one command from another: BLAKE2b over its type name and JSON.

    A field that has its default value does not count, so that a retry is still the same command
    after a release that gave its class another field with a default.
    """
    codec = commands.codec(type(command))
    content = _decode_content(codec.encode(command))
    cls: Any = type(command)
    for name, default in _defaults_of(cls).items():
        if name in content and content[name] == default:
            del content[name]
    made = hashlib.blake2b(codec.name.encode(), digest_size=16)
    made.update(b"\0")
    made.update(_encode_content(content))
    return made.digest()


@functools.cache
def _defaults_of(cls: Any) -> dict[str, Any]:
    """The defaults of a message class's fields, as JSON holds them."""
    found: dict[str, Any] = {}
    if issubclass(cls, msgspec.Struct):
        for one in msgspec.structs.fields(cls):
            if one.default is not msgspec.NODEFAULT:
                found[one.encode_name] = msgspec.to_builtins(one.default)
            elif one.default_factory is not msgspec.NODEFAULT:
                found[one.encode_name] = msgspec.to_builtins(one.default_factory())
    elif dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            if field.default is not dataclasses.MISSING:
                found[field.name] = msgspec.to_builtins(field.default)
            elif field.default_factory is not dataclasses.MISSING:
                found[field.name] = msgspec.to_builtins(field.default_factory())
    return found


def _as_rejection(refusal: Refusal) -> Rejection:
    made = rebuild(_class_named(refusal.type), refusal.message, refusal.facts)
    assert isinstance(made, Rejection)  # noqa: S101  for the type checker
    return made


def _name_of(cls: type[Rejection]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _class_named(name: str) -> type[Rejection]:
    """The class of this name, or the only one of this last name (it moved); else Rejection."""
    known: list[type[Rejection]] = [Rejection, *_below(Rejection)]
    exact = [cls for cls in known if _name_of(cls) == name]
    last = name.rpartition(".")[2]
    moved = [cls for cls in known if cls.__name__ == last]
    if exact:
        return exact[-1]
    return moved[0] if len(moved) == 1 else Rejection


def _below(cls: type[Rejection]) -> list[type[Rejection]]:
    return [one for child in cls.__subclasses__() for one in (child, *_below(child))]

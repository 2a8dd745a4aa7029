"""Every error diptych raises, in one tree.

```
DiptychError
├── Rejection                    the business says no; users derive from it
├── ConfigurationError           the application is put together wrongly
├── MessageError
│   ├── InvalidMessage           a message does not fit its type
│   ├── UnknownMessageType       no type is registered under this name
│   ├── NoHandler                nothing handles this message
│   └── UpcastFailed             a stored event could not be brought to its present shape
├── ConflictError
│   ├── VersionConflict          the stream has moved on (or not yet) from the expected version
│   ├── AppendConditionFailed    an event that the condition forbids is in the log
│   └── CommandIdReused          the same command id came with another command
├── ReadError
│   ├── StaleRead                the read model did not reach the token in time
│   └── ForeignToken             the token belongs to another log
├── StoreError
│   ├── StoreUnavailable         locked, unreachable, read-only or full
│   ├── OutcomeUnknown           a commit was sent and no answer came back
│   ├── SchemaTooNew             the database was written by a newer diptych
│   └── SealBroken               the log and the anchor that seals it do not agree
└── SyncError
    ├── ProjectionFailed         a projection raised on an event
    ├── CheckpointMoved          another runner advanced this projection
    ├── LeaseLost                somebody else may move this projection now
    ├── LogRestored              a checkpoint lies beyond the head of its log
    ├── CaptureFailed            a change of another program could not become events
    └── CaptureLost              the database no longer has the changes that come next
```

Every error has a stable `code` (for scripts and HTTP), says whether the same call may succeed when
`retryable`, and carries its facts as attributes. A message says what happened, to which thing, and
what to do next. All errors pickle.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AppendConditionFailed",
    "CaptureFailed",
    "CaptureLost",
    "CheckpointMoved",
    "CommandIdReused",
    "ConfigurationError",
    "ConflictError",
    "DiptychError",
    "ForeignToken",
    "InvalidMessage",
    "LeaseLost",
    "LogRestored",
    "MessageError",
    "NoHandler",
    "OutcomeUnknown",
    "ProjectionFailed",
    "ReadError",
    "Rejection",
    "SchemaTooNew",
    "SealBroken",
    "StaleRead",
    "StoreError",
    "StoreUnavailable",
    "SyncError",
    "UnknownMessageType",
    "UpcastFailed",
    "VersionConflict",
]


class DiptychError(Exception):
    """Root of all errors of diptych.

    `message` is the sentence for people; `facts` are the same facts for programs, also readable as
    attributes (`error.stream`).
    """

    code: ClassVar[str] = "diptych"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        # Without a message of its own, an error says what its class says of itself.
        message = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts")
        if facts is not None and name in facts:
            return facts[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (type(self), self.message, self.facts)


def rebuild(cls: type[DiptychError], message: str, facts: dict[str, Any]) -> DiptychError:
    """Make an error again without calling a subclass' own constructor (pickle, first answers)."""
    error = cls.__new__(cls, message)
    DiptychError.__init__(error, message, **facts)
    return error


class Rejection(DiptychError):
    """The business says no to a command. Nothing was written.

    Raise it, or a class derived from it, where a command is decided. Keyword arguments become
    facts: `raise Rejection("insufficient funds", missing=20)`. Facts are kept as JSON where the
    caller gave the command an id: what JSON does not know becomes text then.
    """

    code = "rejected"


class ConfigurationError(DiptychError):
    """The application is put together wrongly; raised while it is built, never while it runs."""

    code = "configuration"


class MessageError(DiptychError):
    """A message cannot be used as it is."""

    code = "message"


class InvalidMessage(MessageError):
    """A message does not fit its type: a field is missing, extra or wrong, or it is too large."""

    code = "invalid_message"


class UnknownMessageType(MessageError):
    """No message type is registered under this name."""

    code = "unknown_message_type"


class NoHandler(MessageError):
    """Nothing in this application handles the message."""

    code = "no_handler"


class UpcastFailed(MessageError):
    """A stored event could not be brought to the present version of its type."""

    code = "upcast_failed"


class ConflictError(DiptychError):
    """Somebody else was first."""

    code = "conflict"
    retryable = True


class VersionConflict(ConflictError):
    """A stream is not at the expected version. Facts: `stream`, `expected`, `actual`."""

    code = "version_conflict"


class AppendConditionFailed(ConflictError):
    """The log holds an event that the append condition forbids. Facts: `position`."""

    code = "append_condition_failed"


class CommandIdReused(ConflictError):
    """A command id that has been answered came again with another command. Facts: `command_id`."""

    code = "command_id_reused"
    retryable = False


class ReadError(DiptychError):
    """A query could not be answered as asked."""

    code = "read"


class StaleRead(ReadError):
    """A read model did not reach the token's position in time.

    Facts: `projection`, `wanted`, `reached` (positions), `within_s`, `why`.
    """

    code = "stale_read"
    retryable = True


class ForeignToken(ReadError):
    """A token was given by another log. Facts: `token_log`, `log`."""

    code = "foreign_token"


class StoreError(DiptychError):
    """A store could not do what was asked."""

    code = "store"


class StoreUnavailable(StoreError):
    """The store is locked, unreachable, read-only or full; nothing was written."""

    code = "store_unavailable"
    retryable = True


class OutcomeUnknown(StoreError):
    """A commit was sent and no answer came back: it happened or it did not.

    Dispatch the same command again with the same id to learn which. Facts: `command_id` (or None).
    """

    code = "outcome_unknown"
    retryable = True


class SchemaTooNew(StoreError):
    """The database was written by a newer diptych. Facts: `found`, `known`."""

    code = "schema_too_new"


class SealBroken(StoreError):
    """The log and the anchor that seals it do not agree; nothing was sealed.

    Facts: `first`, `last` (the block's positions), or `line` (of the anchor).
    """

    code = "seal_broken"


class SyncError(DiptychError):
    """The two sides could not be kept in step."""

    code = "sync"


class ProjectionFailed(SyncError):
    """A projection raised on an event and stands before it.

    Facts: `projection`, `position`, `event_type`, `stream`.
    """

    code = "projection_failed"


class CheckpointMoved(SyncError):
    """Another runner advanced this projection; this runner wrote nothing and reads again.

    Facts: `projection`, `expected`, `actual` (positions).
    """

    code = "checkpoint_moved"
    retryable = True


class LeaseLost(SyncError):
    """Somebody else may move this projection now; nothing was written.

    Facts: `projection`, `epoch` (of the change), `actual` (of the lease).
    """

    code = "lease_lost"
    retryable = True


class LogRestored(SyncError):
    """A checkpoint lies beyond its log: the log was restored to an older state, or replaced.

    Facts: `projection`, `checkpoint`, `head`.
    """

    code = "log_restored"


class CaptureFailed(SyncError):
    """A mapping raised on a change that another program made; the capture stands before it.

    Facts: `slot`, `table`, `key`, `lsn` (place of the transaction in the write-ahead log).
    """

    code = "capture_failed"


class CaptureLost(SyncError):
    """The database no longer has the changes that a capture must see next.

    Facts: `slot`, `why`. Call `resnapshot()` of the capture, which tells every row anew.
    """

    code = "capture_lost"

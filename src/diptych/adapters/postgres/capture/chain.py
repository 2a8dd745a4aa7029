"""Why nothing comes twice into the log, and nothing is left out: appends form a chain.

Every append holds the changes from one place to another, in the order of commits. Its command id
names the first place, its recorded answer the last. Whoever comes to a place again (after a crash,
because the slot stands further back than the log; or because two captures run at the same time)
appends under an id that is known, gets the first answer, and goes on behind what it says. Since a
slot only ever advances to the end of an append (never into one, which would make its second half
look new), whoever starts there comes to a place that begins a link, or to one that is new. So
appends may be cut anywhere, and cut differently each time.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from diptych.adapters.postgres.capture.mapped import Streamed
from diptych.events.log import ANY_VERSION, Append, CommandRecord, EventLog, StreamAppend

__all__ = ["Chain", "Link", "Place"]


class Place(NamedTuple):
    """A change: the place of its transaction's commit, and its number in the transaction."""

    lsn: int
    number: int


class Link(NamedTuple):
    """Where an append ends: its last place and, if that is a transaction's last change, the place
    behind the commit, to which the slot may advance.
    """

    last: Place
    end_lsn: int = 0


_decode = msgspec.json.Decoder(Link).decode


class Chain:
    """The appends of one capture; `generation` is that of its slot.

    A slot that was made again may meet places that an earlier one has seen (a restored server), so
    their ids must not be the same.
    """

    def __init__(self, log: EventLog, slot: str, generation: str) -> None:
        self._log = log
        self._name = f"capture:{slot}:{generation}"

    async def append(self, first: Place, link: Link, events: Streamed) -> tuple[Link, int]:
        """Append the events of the changes from `first` to the end of `link`.

        Returns the link that the log holds now, which ends elsewhere when somebody has been here
        before, and how many events were written. Raises as EventLog.append.
        """
        command_id = f"{self._name}:{first.lsn:x}.{first.number}"
        record = CommandRecord(
            command_id,
            hashlib.blake2b(command_id.encode(), digest_size=16).digest(),
            msgspec.json.encode(link),
        )
        appended = await self._log.append(
            Append(
                tuple(
                    StreamAppend(stream, ANY_VERSION, tuple(some))
                    for stream, some in events.items()
                ),
                command=record,
            )
        )
        if appended.repeated is not None:
            return _decode(appended.repeated.answer), 0
        return link, appended.events

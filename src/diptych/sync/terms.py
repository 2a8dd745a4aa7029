"""What the owners of a lease write into it."""

from __future__ import annotations

import msgspec

from diptych.queries.standings import Lease

__all__ = ["Terms", "read_terms", "write_terms"]


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who holds a lease ('': nobody), who asks whether the holder is still there, and the traces
    that a holder leaves who dies.

    `asked` is a question of somebody who would take the lease over, `answered` the last one that
    its holder has answered. `owns` says how many leases the asking one has.

    `crashes` counts holders who ended without letting go, one after the other, before position
    `suspect` was reached; `trying` is the position of an event that is being folded alone, because
    it may be what kills them, and `tried` how many have died over it.

    `log` is the identity of the log that the rows are made of; '' where nobody has said so yet.
    """

    owner: str = ""
    why: str = ""
    asked: str = ""
    owns: int = 0
    answered: str = ""
    crashes: int = 0
    suspect: int = 0
    trying: int = 0
    tried: int = 0
    log: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Terms).decode


def read_terms(lease: Lease) -> Terms:
    """The terms of a lease."""
    return _decode(lease.terms) if lease.terms else Terms()


def write_terms(epoch: int, terms: Terms) -> Lease:
    """A lease with these terms."""
    return Lease(epoch, _encode(terms).decode())

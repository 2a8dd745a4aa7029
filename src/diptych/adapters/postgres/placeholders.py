"""Statements with `?` for their parameters, as SQLite has them, made into PostgreSQL's `$1`."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["numbered"]

_TOKEN = re.compile(
    r"""
      (?<![\w$]) [eE] ' (?: [^'\\] | \\. | '' )* '   # a text with escapes
    | ' (?: [^'] | '' )* '                           # a text
    | " (?: [^"] | "" )* "                           # a name
    | (?<![\w$]) \$ (?P<tag> (?: [^\W\d] \w* )? ) \$ .*? \$ (?P=tag) \$
    | -- [^\n]*
    | /\*
    | \?\?
    | \?
    """,
    re.VERBOSE | re.DOTALL,
)
_EDGE = re.compile(r"/\*|\*/")


@lru_cache(maxsize=1024)
def numbered(statement: str) -> str:
    """`?` as `$1`, `$2` ... outside texts, names and comments; `??` is the operator `?`.

    A statement that speaks of `$1` itself stays as it is.
    """
    parts: list[str] = []
    at = count = 0
    while found := _TOKEN.search(statement, at):
        parts.append(statement[at : found.start()])
        token = found[0]
        at = found.end()
        if token == "/*":
            at = _end_of_comment(statement, at)
            token = statement[found.start() : at]
        elif token == "?":
            count += 1
            token = f"${count}"
        elif token == "??":
            token = "?"
        parts.append(token)
    return "".join([*parts, statement[at:]])


def _end_of_comment(statement: str, at: int) -> int:
    """Where the comment ends in which `at` lies; comments may hold comments."""
    depth = 1
    while depth and (edge := _EDGE.search(statement, at)):
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return len(statement) if depth else at

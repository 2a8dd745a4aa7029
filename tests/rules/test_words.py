"""One word per concept. The glossary says which; this knows the words that are not used.

Only names that we choose are looked at (classes, functions, arguments), and only words that have no
ordinary meaning of their own in a Python program. Where a foreign technology brings its own word
(an action of SQLite, a session of SQLAlchemy), the word is free in the folders named beside it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# word -> (what we say, where the word is free all the same)
UNUSED_WORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "action": ("command", ("adapters",)),
    "aggregate_root": ("aggregate", ()),
    "bookmark": ("checkpoint or token", ()),
    "category": ("stream", ()),
    "command_model": ("write model", ()),
    "consumer": ("subscription", ("adapters", "sync/broker.py", "sync/inbox.py")),
    "cursor": ("checkpoint", ("adapters",)),
    "dead_letter": ("parked", ()),
    "dedup": ("inbox", ()),
    "denormalizer": ("projection", ()),
    "entity": ("aggregate", ()),
    "exactly_once": ("effect once", ()),
    "forwarder": ("relay", ()),
    "global_position": ("position", ()),
    "high_water": ("horizon", ()),
    "invoke": ("dispatch or ask", ("cli/command_line.py",)),  # click calls it so
    "listener": ("event handler", ()),
    "memento": ("snapshot", ()),
    "notification": ("event", ()),
    "optimistic": ("expected version", ()),
    "orchestration": ("saga", ()),
    "originator": ("aggregate", ()),
    "poison": ("parked", ()),
    "process_manager": ("saga", ()),
    "processor": ("handler", ()),
    "projector": ("projection", ()),
    "quarantine": ("parked", ()),
    "query_model": ("read model", ()),
    "reactor": ("event handler", ()),
    "receipt": ("token", ()),
    "reducer": ("decider", ()),
    "rehydrate": ("rebuild or replay", ()),
    "reproject": ("rebuild", ()),
    "revision": ("version", ()),
    "service": ("handler", ()),
    "session": ("unit of work", ("adapters", "commands/unit_of_work.py")),
    "shard": ("partition", ()),
    "staleness": ("lag or delay", ()),
    "ticket": ("token", ()),
    "view_builder": ("projection", ()),
    "workflow": ("saga", ()),
}


def words_of(name: str) -> str:
    """`DeadLetterQueue` and `dead_letter_queue` are both `_dead_letter_queue_`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return f"_{snake.lower().strip('_')}_"


def unused_words_in(name: str) -> list[str]:
    words = words_of(name)
    return [word for word in UNUSED_WORDS if f"_{word}_" in words or f"_{word}s_" in words]


def chosen_names(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def is_free(word: str, path: Path) -> bool:
    where = UNUSED_WORDS[word][1]
    return any(path.as_posix() == place or Path(place) in path.parents for place in where)


def test_names_use_the_words_of_the_glossary(modules: dict[Path, ast.Module]):
    found = [
        f"{path}:{line} {name}: say {UNUSED_WORDS[word][0]}, not {word}"
        for path, module in modules.items()
        for line, name in chosen_names(module)
        for word in unused_words_in(name)
        if not is_free(word, path)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("DeadLetterQueue", "dead_letter"),
        ("on_poison", "poison"),
        ("SQLSession", "session"),
        ("list_shards", "shard"),
    ],
)
def test_an_unused_word_is_found_inside_a_name(name: str, word: str):
    assert unused_words_in(name) == [word]


@pytest.mark.parametrize("name", ["identity_of", "transaction", "Interaction", "obsession"])
def test_a_word_inside_another_word_is_not_found(name: str):
    assert unused_words_in(name) == []

"""Changing running code: lines of a function, or of an SQL text. What no longer fits is an error.

A patch names the lines it replaces. When the product changes them, the patch fails loudly instead
of patching nothing and passing for caught.
"""

from __future__ import annotations
import __future__ as future

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from typing import Any

__all__ = ["all_of", "replaced", "rewritten", "sql_rewritten"]


@contextmanager
def rewritten(function: Any, *changes: tuple[str, str]) -> Iterator[None]:
    """Run `function`, wherever it was imported to, with some of its lines replaced.

    Each change is (old, new); `old` must occur exactly once in the source as it is written there,
    less its indentation.
    """
    function = inspect.unwrap(getattr(function, "__func__", function))
    before = function.__code__
    function.__code__ = _changed_code(function, changes)
    try:
        yield
    finally:
        function.__code__ = before


def _changed_code(function: Any, changes: tuple[tuple[str, str], ...]) -> Any:
    text = textwrap.dedent(inspect.getsource(function))
    text = _changed(text, changes, function.__qualname__)
    # Without its decorators: only its code is taken.
    text = text[min(text.find(one) for one in ("async def ", "def ") if one in text) :]
    found: dict[str, Any] = {}
    flags = future.annotations.compiler_flag
    code = compile(text, f"<{function.__qualname__} with a bug>", "exec", flags, dont_inherit=True)
    exec(code, function.__globals__, found)  # our own source, with our own change
    return found[function.__name__].__code__


def _changed(text: str, changes: tuple[tuple[str, str], ...], where: str) -> str:
    for old, new in changes:
        times = text.count(old)
        if times != 1:
            raise LookupError(f"{where} has {times} times what the patch replaces: {old!r}")
        text = text.replace(old, new)
    return text


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute another value."""
    before = inspect.getattr_static(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def sql_rewritten(adapter: str, **changed: list[tuple[str, str]]) -> Iterator[None]:
    """Read SQL texts of an adapter (by the names of their files) with some of it replaced."""
    statements = import_module(f"diptych.adapters.{adapter}.statements")
    folder = f"diptych.adapters.{adapter}"
    for name, changes in changed.items():  # does it fit?
        _Texts(statements.files(folder), changed)._fitting(name, changes)
    real = statements.files

    def files(package: str) -> Any:
        return _Texts(real(package), changed) if package == folder else real(package)

    with replaced(statements, "files", files):
        statements.sql.cache_clear()
        yield
    statements.sql.cache_clear()


class _Texts:
    """A folder of a package, or a file in it, read with changes."""

    def __init__(self, path: Any, changed: dict[str, list[tuple[str, str]]]) -> None:
        self._path = path
        self._changed = changed

    def __truediv__(self, name: str) -> _Texts:
        return _Texts(self._path / name, self._changed)

    def read_text(self, encoding: str) -> str:
        text: str = self._path.read_text(encoding)
        name = self._path.name.removesuffix(".sql")
        return _changed(text, tuple(self._changed.get(name, ())), name)

    def _fitting(self, name: str, changes: list[tuple[str, str]]) -> None:
        _changed((self._path / "sql" / f"{name}.sql").read_text("utf-8"), tuple(changes), name)


@contextmanager
def all_of(*patches: AbstractContextManager[object]) -> Iterator[None]:
    """Several patches that make one bug together."""
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield

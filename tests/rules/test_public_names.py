"""The public face is small, sorted, importable and documented."""

from __future__ import annotations

import inspect

import diptych


def place(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff keeps in every `__all__`."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


def has_own_docstring(name: str, thing: object) -> bool:
    if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
        return True  # a constant or an alias cannot carry one
    text = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    # What dataclass writes when nobody wrote anything is the signature.
    return bool(text and text.strip()) and not text.startswith(f"{name}(")


def test_all_is_sorted_and_names_nothing_twice():
    assert list(diptych.__all__) == sorted(set(diptych.__all__), key=place)


def test_every_public_name_can_be_imported():
    assert [name for name in diptych.__all__ if not hasattr(diptych, name)] == []


def test_every_public_name_has_a_docstring_of_its_own():
    public = {name: getattr(diptych, name) for name in diptych.__all__}
    silent = [name for name, thing in public.items() if not has_own_docstring(name, thing)]
    assert silent == []

"""From `--app module:attribute` to an App."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

from diptych.application import App
from diptych.errors import ConfigurationError, DiptychError
from diptych.evolution import Evolution

__all__ = ["find_app", "find_evolution"]

_FORM = "Write --app module:attribute, as in --app shop.app:app, or set DIPTYCH_APP."


def find_app(where: str | None) -> App:
    """The application at `where`: an App, or something to call without arguments that gives one.

    Modules are looked for in the current directory first. Raises ConfigurationError that says what
    is missing, or where the application's own code failed.
    """
    found = _find(where, App)
    if not isinstance(found, App):
        raise ConfigurationError(f"{where} is no diptych App, it is {_what(found)}. {_FORM}")
    return found


def find_evolution(where: str | None) -> Evolution:
    """The move between two stages at `where`, found as `find_app` finds an App."""
    found = _find(where, Evolution)
    if not isinstance(found, Evolution):
        raise ConfigurationError(
            f"{where} is no Evolution, it is {_what(found)}. Make one of the two applications: "
            "Evolution(name, old=..., new=...), and name it with --app module:attribute."
        )
    return found


def _find(where: str | None, wanted: type) -> Any:
    if not where:
        raise ConfigurationError(f"which application? {_FORM}")
    module_name, _, attribute = where.partition(":")
    _check_form(where, module_name)
    here = os.getcwd()  # noqa: PTH109  sys.path takes strings
    if here not in sys.path:
        sys.path.insert(0, here)
    found = _attribute_of(_import(module_name), attribute or "app")
    if callable(found) and not isinstance(found, wanted):
        found = _call(found, where)
    return found


def _check_form(where: str, module_name: str) -> None:
    if module_name.endswith(".py") or "/" in module_name or "\\" in module_name:
        dotted = module_name.removesuffix(".py").strip("./\\").replace("/", ".").replace("\\", ".")
        raise ConfigurationError(
            f"{where!r} is a file; name the module, as Python imports it: --app {dotted}:app"
        )
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigurationError(f"{where!r} names no module. {_FORM}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except DiptychError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(f"importing {name}", error) from error
        raise ConfigurationError(
            f"there is no module {name!r}"
            f"{'' if error.name == name else f' (no {error.name!r})'}; looked in the current "
            f"directory {os.getcwd()} and where Python looks."  # noqa: PTH109
        ) from None
    except Exception as error:
        raise _failed(f"importing {name}", error) from error


def _attribute_of(module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ConfigurationError(
                f"the module {module.__name__} has no {path!r}; {_apps_in(module)}"
            ) from None
    return found


def _apps_in(module: ModuleType) -> str:
    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    if apps:
        return f"there is {', '.join(f'{module.__name__}:{name}' for name in apps)}."
    return "it holds no App either: make one at module level, or name a function that gives one."


def _call(make: Callable[[], Any], where: str) -> Any:
    try:
        inspect.signature(make).bind()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{where} cannot be called without arguments: {error}. Name an App, or a function "
            "without required parameters that gives one."
        ) from None
    try:
        found = make()
    except DiptychError:
        raise
    except Exception as error:
        raise _failed(f"calling {where}", error) from error
    if inspect.iscoroutine(found):
        found.close()
        raise ConfigurationError(f"{where} is an async function; an App is made by a plain one.")
    return found


def _failed(doing: str, error: Exception) -> ConfigurationError:
    """The application's own code failed: say where, in one line."""
    frames = [
        one for one in traceback.extract_tb(error.__traceback__) if "<frozen" not in one.filename
    ]
    at = ""
    if isinstance(error, SyntaxError) and error.filename:
        at = f" ({error.filename}:{error.lineno})"
    elif frames:
        at = f" ({frames[-1].filename}:{frames[-1].lineno})"
    message = error.msg if isinstance(error, SyntaxError) else error
    return ConfigurationError(
        f"{doing} failed: {type(error).__name__}: {message}{at}. Add --debug to see the traceback."
    )


def _what(found: Any) -> str:
    name = type(found).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"

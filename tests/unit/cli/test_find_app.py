"""`--app module:attribute`: what it finds, and how it says what it does not find."""

from __future__ import annotations

import pytest

from diptych import App
from diptych.cli.find_app import find_app
from diptych.errors import ConfigurationError


def test_an_app_by_module_and_attribute(bank):
    assert isinstance(find_app("bankapp:app"), App)


def test_the_attribute_is_app_if_none_is_named(bank):
    assert find_app("bankapp") is find_app("bankapp:app")


def test_a_function_that_gives_an_app(bank):
    assert find_app("bankapp:make") is find_app("bankapp:app")


def test_an_attribute_of_an_attribute(folder):
    source = "from diptych import App\nclass settings:\n    app = App('x', [])\n"
    (folder / "deep.py").write_text(source)
    assert find_app("deep:settings.app").name == "x"


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("nowhere:app", "there is no module 'nowhere'"),
        ("bankapp.inner:app", "there is no module 'bankapp.inner'"),
        ("bankapp:bpp", "the module bankapp has no 'bpp'; there is bankapp:app"),
        ("bankapp:Screen", "is no diptych App, it is a Screen"),
        ("bankapp:BANK", "bankapp:BANK is no diptych App, it is a list"),
        ("bankapp:fail", "cannot be called without arguments: missing a required argument"),
        ("bankapp.py", "name the module, as Python imports it: --app bankapp:app"),
        ("./sub/bankapp.py:app", "--app sub.bankapp:app"),
        ("bank app", "names no module"),
        (":app", "names no module"),
        ("", "which application?"),
    ],
)
def test_what_cannot_be_found_is_named(bank, where: str, says: str):
    with pytest.raises(ConfigurationError) as raised:
        find_app(where)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_thing", "importing broken failed: ModuleNotFoundError: No module named"),
        ("x = 1\nx.y", "broken.py:2"),
        ("def f(:", "SyntaxError"),
        ("def app():\n    raise KeyError('k')", "calling broken:app failed: KeyError: 'k'"),
        ("async def app(): ...", "async function"),
        ("from diptych import App\nApp('x', [int])", "is nothing an application is made of"),
    ],
)
def test_what_fails_in_the_applications_own_code_is_said_with_its_place(folder, source, says):
    (folder / "broken.py").write_text(source)
    with pytest.raises(ConfigurationError) as raised:
        find_app("broken:app")
    assert says in str(raised.value)

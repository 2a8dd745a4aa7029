"""No message shows a part of a password, however badly its URL was written."""

import pytest

from diptych import App
from diptych.adapters.postgres.url import locate
from diptych.adapters.sqlalchemy import engine_for
from diptych.errors import ConfigurationError
from diptych.urls import shown

BAD = [f"xq{character}zv" for character in ("#", "?", "/", "[", "]")] + [
    "x@xq/zv",
    "x@xq?zv",
    "x@xq#zv",
]


@pytest.mark.parametrize("password", BAD)
@pytest.mark.parametrize(
    "use",
    [
        locate,
        engine_for,
        shown,
        lambda url: App("a", [], write=url),
        lambda url: App("a", [], write=url.replace("postgresql", "mysql")),
    ],
)
def test_a_password_that_was_not_encoded_is_not_shown(use, password):
    with pytest.raises(ConfigurationError, match="ercent-encode") as caught:
        use(f"postgresql://ann:{password}@db.example/shop")
    error: BaseException | None = caught.value
    while error is not None:
        assert not any(part in str(error) for part in ("xq", "zv", "ann:"))
        error = None if error.__suppress_context__ else error.__cause__ or error.__context__


def test_a_url_without_slashes_is_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        locate("postgresql:ann:geheim@db.example/shop")
    assert "geheim" not in str(caught.value)


def test_a_password_where_the_port_should_be_is_not_shown():
    with pytest.raises(ConfigurationError, match="a port is a number") as caught:
        locate("postgresql://ann:geheim/shop")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("hosts", ["[::1]:5432", "one:5432,two:5433", "one,two", "[::1]"])
def test_hosts_and_ports_of_every_kind_are_fine(hosts):
    assert locate(f"postgresql://ann:secret@{hosts}/shop").place == f"{hosts}/shop"


def test_an_encoded_password_and_a_file_with_an_at_are_fine():
    assert locate("postgresql://ann:g%40e%2Fh%23@db.example/shop").place == "db.example/shop"
    assert shown("sqlite:////home/ann@work/shop.db") == "sqlite:////home/ann@work/shop.db"

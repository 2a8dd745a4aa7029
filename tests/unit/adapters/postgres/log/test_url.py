"""What a PostgreSQL URL means, and that it keeps its password."""

from __future__ import annotations

import pytest

from diptych.adapters.postgres.url import locate
from diptych.errors import ConfigurationError

URL = "postgresql://ann:se%40cret@db.example:5433/shop"


def test_our_options_are_taken_and_all_others_are_the_drivers():
    location = locate(f"{URL}?schema=orders&sslmode=require&connections=3&timeout_s=1.5")
    assert location.dsn == f"{URL}?sslmode=require"
    assert (location.schema, location.connections, location.timeout_s) == ("orders", 3, 1.5)
    assert location.place == "db.example:5433/shop"


def test_what_is_not_said_has_a_default():
    location = locate(URL)
    assert (location.schema, location.connections, location.timeout_s) == ("diptych", 8, 30.0)


@pytest.mark.parametrize("url", ["postgres://h/d", "postgresql://h/d", "postgresql:///d?host=/run"])
def test_both_names_of_the_scheme_are_understood(url):
    assert locate(url).dsn.startswith("postgresql://")


def test_the_password_is_never_shown():
    location = locate(URL)
    assert "cret" not in f"{location!r} {location.describe()} {location.place}"


@pytest.mark.parametrize(
    "url",
    [
        f"{URL}?schema=",
        f"{URL}?schema=pg_mine",
        f"{URL}?connections=0",
        f"{URL}?connections=many",
        f"{URL}?timeout_s=-1",
        f"{URL}#x",
        "mysql://ann:se%40cret@db/shop",
        "postgresql:shop",
    ],
)
def test_what_cannot_be_meant_is_refused_without_the_password(url):
    with pytest.raises(ConfigurationError, match="Write postgresql://") as refused:
        locate(url)
    assert "cret" not in str(refused.value)

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diptych.adapters.sqlite.url import Location, locate
from diptych.errors import ConfigurationError


def test_three_slashes_are_relative_and_four_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = os.path.realpath(tmp_path)
    assert locate("sqlite:///shop.db").path == f"{here}/shop.db"
    assert locate("sqlite:///data/shop.db").path == f"{here}/data/shop.db"
    assert locate("sqlite:////srv/shop.db").path == "/srv/shop.db"
    assert locate("sqlite:///a%20b.db").path == f"{here}/a b.db"


def test_a_path_is_a_path(tmp_path):
    assert locate(tmp_path / "x.db") == Location(os.path.realpath(tmp_path / "x.db"))
    assert locate("x.db").path == str(Path("x.db").resolve())


def test_the_same_file_has_the_same_location_however_it_is_written(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    direct = locate(tmp_path / "x.db")
    assert locate(tmp_path / "link" / "x.db") == direct
    assert locate(f"sqlite:///{tmp_path}/x.db") == direct


def test_options_are_read():
    location = locate("sqlite:///x.db?synchronous=NORMAL&busy_timeout_s=2.5")
    assert (location.synchronous, location.busy_timeout_s) == ("normal", 2.5)
    assert locate("sqlite:///x.db").synchronous == "full"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///x.db?synchronous=off",
        "sqlite:///x.db?mode=ro",
        "sqlite:///x.db?busy_timeout_s=-1",
        "sqlite:///x.db?busy_timeout_s=",
        "sqlite://host/x.db",
        "sqlite:x.db",
        "sqlite:///",
        "sqlite:///x.db#part",
        "postgresql://localhost/x",
        "file:x.db?mode=ro",
        "",
    ],
)
def test_what_is_not_understood_is_refused(url):
    with pytest.raises(ConfigurationError):
        locate(url)


@pytest.mark.parametrize("url", ["sqlite:///:memory:", ":memory:"])
def test_memory_is_refused_with_a_hint(url):
    with pytest.raises(ConfigurationError, match="memory://"):
        locate(url)

"""`diptych health` and `diptych metrics`, as far as one process can tell."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from diptych import App
from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.errors import StoreUnavailable


@pytest.fixture
def unreachable(bank, monkeypatch):
    async def refuse(self, projection):
        raise StoreUnavailable("nobody there")

    monkeypatch.setattr(MemoryReadStore, "generations", refuse)


def test_health_shows_lag_and_is_well(cli, deposit):
    deposit("a", 5)
    deposit("a", 5)
    result = cli("health")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:3] == ["alive, ready", "log memory: ok", "read store memory of balances: ok"]
    assert lines[3].startswith("projection balances: 2 events behind (")


def test_health_shows_what_is_parked(cli, bank, monkeypatch):
    status = App.status

    async def parked(self):
        return [msgspec.structs.replace(one, parked_keys=2) for one in await status(self)]

    monkeypatch.setattr(App, "status", parked)
    assert "projection balances: 0 events behind, 2 keys parked\n" in cli("health").stdout


def test_too_much_delay_has_its_exit_code(ask_json, deposit):
    deposit("a", 5)
    code, answer = ask_json("health", "--max-delay", "0")
    assert (code, answer["ready"]) == (5, True)
    assert ask_json("health", "--max-delay", "3600")[0] == 0


def test_a_store_out_of_reach_has_its_exit_code_and_name(cli, ask_json, unreachable):
    code, answer = ask_json("health")
    assert (code, answer["alive"], answer["ready"]) == (6, True, False)
    assert answer["why"] == ["read store memory of balances: nobody there"]
    result = cli("health")
    assert result.exit_code == 6
    assert "alive, not ready" in result.stdout
    assert "read store memory of balances: nobody there" in result.stdout


def test_f24_a_log_that_hangs_does_not_hang_the_command(cli, bank, monkeypatch):
    async def hang(self):
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryEventLog, "head", hang)
    result = cli("health", "--within", "0.05")
    assert result.exit_code == 6
    assert "log memory: it did not answer within 0.05 s" in result.stdout


def test_a_database_that_is_not_there_is_not_made(cli, folder, monkeypatch):
    (folder / "bankapp.py").write_text(
        "from banking import BANK\nfrom diptych import App\n"
        "app = App('bank', BANK, write='sqlite:///none.db')\n"
    )
    monkeypatch.setenv("DIPTYCH_APP", "bankapp:app")
    for command in ("health", "metrics"):
        result = cli(command)
        assert result.exit_code == 3
        assert "there is no such file" in result.stderr
        assert not (folder / "none.db").exists()


def test_metrics_are_printed_once(cli, ask_json, deposit):
    deposit("a", 5)
    result = cli("metrics")
    assert result.exit_code == 0
    families = {one.name: one for one in text_string_to_metric_families(result.stdout)}
    assert families["diptych_log_head_position"].samples[0].value == 1
    (lag,) = families["diptych_projection_lag_events"].samples
    assert (lag.labels["name"], lag.value) == ("balances", 1)


def test_metrics_in_json_carry_the_same_text(ask_json, deposit, bank):
    deposit("a", 5)
    code, answer = ask_json("metrics")
    assert (code, answer["application"]) == (0, "bank")
    assert "diptych_log_head_position 1.0" in answer["text"]

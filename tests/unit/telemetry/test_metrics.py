"""What an instrumented application tells Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from banking import BANK, Deposit, GetBalance, Withdraw
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from diptych import App
from diptych.environment import Environment
from diptych.errors import ConflictError, Rejection, StaleRead, StoreUnavailable
from diptych.events.obstacle import Obstacle
from diptych.operations.drift.results import Difference, Verification
from diptych.queries.replicas import ReplicaStatus
from diptych.sync.status import ProjectionStatus
from diptych.telemetry import look as looking
from diptych.telemetry.collector import LookCollector
from diptych.telemetry.instrument import LOOK_EVERY_S, Telemetry, instrument
from diptych.telemetry.look import Look
from diptych.telemetry.names import METRICS


class Clock(Environment):
    """The real world, but for a clock that only the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1_000.0

    def monotonic_s(self) -> float:
        return self.seconds

    def time_us(self) -> int:
        return int(self.seconds * 1_000_000)


CLOCK = Clock()


async def slow(envelope: Any, proceed: Any) -> Any:
    CLOCK.seconds += 3
    return await proceed(envelope)


def samples_of(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and the values of its labels, in the order of the labels' names."""
    return {
        (one.name, tuple(value for _, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


async def scraped(telemetry: Telemetry) -> dict[tuple[str, tuple[str, ...]], float]:
    return samples_of(await telemetry.metrics_text())


def projection(**facts: Any) -> ProjectionStatus:
    known = ProjectionStatus("balances", "async", "live", 5, 7, 2, 1.5, 300.0, generation="v1")
    return msgspec.structs.replace(known, **facts)


def shown(*looks: Look) -> dict[tuple[str, tuple[str, ...]], float]:
    collector = LookCollector()
    for look in looks:
        collector.saw(look)
    return {
        (one.name, tuple(one.labels.values())): one.value
        for family in collector.collect()
        for one in family.samples
    }


# -- commands --------------------------------------------------------------------------------------


async def test_commands_are_counted_by_type_and_outcome():
    async with App("bank", BANK) as app:
        telemetry = instrument(app)
        await app.dispatch(Deposit("a", 5))
        await app.dispatch(Deposit("a", 5))
        with pytest.raises(Rejection):
            await app.dispatch(Withdraw("a", 11))
        with pytest.raises(ConflictError):
            await app.dispatch(Deposit("a", 1), expected_version=9)
        found = await scraped(telemetry)
    count = "diptych_command_seconds_count"
    assert found[count, ("accepted", "Deposit")] == 2
    assert found[count, ("rejected", "Withdraw")] == 1
    assert found[count, ("conflict", "Deposit")] == 1
    assert found["diptych_append_conflicts_total", ()] == 1


async def test_what_fails_and_what_is_cancelled_are_told_apart():
    never = asyncio.Event()

    async def hold(envelope: Any, proceed: Any) -> Any:
        if envelope.command.amount == 1:
            raise ZeroDivisionError
        await never.wait()

    async with App("bank", BANK, middleware=[hold]) as app:
        telemetry = instrument(app)
        with pytest.raises(ZeroDivisionError):
            await app.dispatch(Deposit("a", 1))
        held = asyncio.ensure_future(app.dispatch(Deposit("a", 2)))
        await asyncio.sleep(0)
        held.cancel()
        await asyncio.wait([held])
        found = await scraped(telemetry)
    assert found["diptych_command_seconds_count", ("error", "Deposit")] == 1
    assert found["diptych_command_seconds_count", ("cancelled", "Deposit")] == 1


async def test_the_time_that_users_middleware_takes_is_measured_too():
    async with App("bank", BANK, middleware=[slow], environment=CLOCK) as app:
        telemetry = instrument(app)
        await app.dispatch(Deposit("a", 5))
        found = await scraped(telemetry)
    assert found["diptych_command_seconds_sum", ("accepted", "Deposit")] == 3


# -- tokens ----------------------------------------------------------------------------------------


async def test_waits_for_tokens_are_counted_by_how_they_ended():
    async with App("bank", BANK) as app:
        telemetry = instrument(app)
        done = await app.dispatch(Deposit("a", 5))
        await app.ask(GetBalance("a"), after=done)
        await app.ask(GetBalance("a"))
        found = await scraped(telemetry)
    assert found["diptych_token_wait_seconds_count", ("reached",)] == 1

    app = await App("bank", BANK).open(projections=False)
    telemetry = instrument(app)
    done = await app.dispatch(Deposit("a", 5))
    with pytest.raises(StaleRead):
        await app.ask(GetBalance("a"), after=done, within_s=0.01)
    await app.ask(GetBalance("a"), after=done, within_s=0.01, on_stale="stale")
    found = await scraped(telemetry)
    await app.close()
    assert found["diptych_token_wait_seconds_count", ("stale",)] == 2
    assert found["diptych_token_wait_seconds_sum", ("stale",)] >= 0.02
    assert ("diptych_token_wait_seconds_count", ("reached",)) not in found


async def test_an_application_that_is_not_instrumented_has_no_watch():
    async with App("bank", BANK) as app:
        assert app._asker.watch is None
        assert await app.ask(GetBalance("a")) is None


# -- the stores ------------------------------------------------------------------------------------


async def test_a_scrape_says_where_the_projections_stand():
    app = await App("bank", BANK).open(projections=False)
    telemetry = instrument(app)
    for _ in range(3):
        await app.dispatch(Deposit("a", 5))
    found = await scraped(telemetry)
    version = "balances"
    await app.close()
    assert found["diptych_log_head_position", ()] == 3
    assert found["diptych_projection_position", ("balances", version)] == 0
    assert found["diptych_projection_lag_events", ("balances", version)] == 3
    assert found["diptych_projection_errors_total", ("balances", version)] == 0
    assert ("diptych_projection_eta_seconds", ("balances", version)) not in found


def test_every_fact_of_a_projection_has_its_own_metric():
    status = projection(epoch=3, parked_keys=4, eta_s=2.5, errors=6)
    found = shown(Look(7, [status]))
    of_projections = {
        name.removeprefix("diptych_projection_"): value
        for (name, labels), value in found.items()
        if labels == ("balances", "v1")
    }
    assert of_projections == {
        "position": 5,
        "lag_events": 2,
        "lag_seconds": 1.5,
        "rate": 300,
        "eta_seconds": 2.5,
        "epoch": 3,
        "parked_sequences": 4,
        "errors_total": 6,
    }


def test_replicas_and_obstacles_are_there_while_they_are_seen():
    replica = ReplicaStatus("r1", up=False, position=3, head=7, lag_events=4, delay_s=2.0)
    seen = Look(7, replicas=[replica], obstacle=Obstacle("session 5 (psql)", 31.5))
    found = shown(seen)
    assert found["diptych_horizon_blocked_seconds", ("session 5 (psql)",)] == 31.5
    assert found["diptych_replica_up", ("r1",)] == 0
    assert found["diptych_replica_lag_events", ("r1",)] == 4
    assert found["diptych_replica_lag_seconds", ("r1",)] == 2
    assert not [name for name, _ in shown(seen, Look(7)) if "blocked" in name or "replica" in name]


def test_a_projection_beyond_the_log_counts_once_each_time_it_comes_to_be_so():
    def count(*looks: Look) -> float:
        return shown(*looks)["diptych_store_checkpoint_regressions_total", ()]

    good, bad = Look(7, [projection()]), Look(3, [projection()], beyond=frozenset({"balances"}))
    assert count(good) == 0
    assert count(good, bad, bad, Look(), bad) == 1
    assert count(bad, good, bad) == 2


async def test_a_checkpoint_that_a_runner_moves_meanwhile_is_no_regression(monkeypatch):
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 5))

        async def status() -> list[ProjectionStatus]:
            return [projection(position=position, head=0)]

        monkeypatch.setattr(app, "status", status)
        position = 1
        assert (await looking.look_at(app, 5)).beyond == frozenset()
        position = 2
        assert (await looking.look_at(app, 5)).beyond == {"balances"}


async def test_a_log_that_does_not_answer_leaves_its_metrics_out_and_keeps_the_others(monkeypatch):
    async with App("bank", BANK) as app:
        telemetry = instrument(app)
        await app.dispatch(Deposit("a", 5))

        async def unreachable() -> int:
            raise StoreUnavailable

        monkeypatch.setattr(app.log, "head", unreachable)
        found = await scraped(telemetry)
    assert ("diptych_log_head_position", ()) not in found
    assert found["diptych_command_seconds_count", ("accepted", "Deposit")] == 1
    assert not [name for name, _ in found if name.startswith("diptych_projection_")]


async def test_many_who_scrape_share_a_look(monkeypatch):
    async with App("bank", BANK, environment=CLOCK) as app:
        telemetry = instrument(app)
        looks = 0
        status = app.status

        async def counted() -> list[ProjectionStatus]:
            nonlocal looks
            looks += 1
            return await status()

        monkeypatch.setattr(app, "status", counted)
        await asyncio.gather(*(telemetry.metrics_text() for _ in range(10)))
        await telemetry.metrics_text()
        assert looks == 1
        CLOCK.seconds += LOOK_EVERY_S
        await telemetry.metrics_text()
        assert looks == 2


async def test_looking_goes_on_for_a_registry_that_others_expose():
    registry = CollectorRegistry()
    async with App("bank", BANK, environment=CLOCK) as app:
        telemetry = instrument(app, registry=registry)
        task = asyncio.ensure_future(telemetry.keep_looking(every_s=0.01))
        for expected in (1, 2):
            await app.dispatch(Deposit("a", 5))
            async with asyncio.timeout(20):
                while registry.get_sample_value("diptych_log_head_position") != expected:
                    CLOCK.seconds += LOOK_EVERY_S
                    await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])


async def test_scraping_a_closed_application_does_not_open_it():
    app = App("bank", BANK)
    found = await scraped(instrument(app))
    assert ("diptych_log_head_position", ()) not in found
    assert app._open is False


# -- verification ----------------------------------------------------------------------------------


async def test_a_verification_is_recorded():
    async with App("bank", BANK, environment=CLOCK) as app:
        telemetry = instrument(app)
        assert not [name for name, _ in await scraped(telemetry) if "verify" in name]
        telemetry.verified(await app.verify())
        verified_at = app.environment.time_us() / 1_000_000
        found = await scraped(telemetry)
        assert found["diptych_verify_last_ok_timestamp", ()] == verified_at
        assert found["diptych_verify_differences", ("balances",)] == 0
        CLOCK.seconds += 60
        wrong = Difference("balances", "a", 1, 2)
        telemetry.verified(Verification(ok=False, rows=2, events=2, differences=(wrong, wrong)))
        found = await scraped(telemetry)
        assert found["diptych_verify_last_ok_timestamp", ()] == verified_at
        assert found["diptych_verify_differences", ("balances",)] == 2


# -- names -----------------------------------------------------------------------------------------


async def test_what_is_exposed_is_what_is_named():
    async with App("bank", BANK) as app:
        telemetry = instrument(app)
        names = {
            f"{family.name}_total" if family.type == "counter" else family.name: family.type
            for family in telemetry.registry.collect()
            if not family.name.endswith("_created")
        }
    assert names == {metric.name: metric.kind for metric in METRICS.values()}


async def test_a_registry_takes_one_application():
    registry = CollectorRegistry()
    instrument(App("bank", BANK), registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        instrument(App("other", BANK), registry=registry)

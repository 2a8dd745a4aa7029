"""Spans around commands and queries, as an exporter gets them."""

from __future__ import annotations

from typing import Any

import pytest
from banking import BANK, Deposit, GetBalance, InsufficientFunds, Withdraw
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id

from diptych import App, Query
from diptych.errors import ConflictError, StaleRead
from diptych.telemetry.instrument import instrument
from diptych.telemetry.spans import Spans


class Fail(Query[int]):
    pass


def fail(query: Fail) -> int:
    raise ZeroDivisionError


class Told:
    """A provider, and the spans that have come out of it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def instrumented(self, **options: Any) -> App:
        app = App("bank", [*BANK, fail], **options)
        instrument(app, spans=Spans(self.provider))
        return app

    def __call__(self) -> dict[str, Any]:
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def told() -> Told:
    told = Told()
    yield told
    told.provider.shutdown()


async def test_a_command_is_a_span_that_says_what_came_of_it(told):
    async with told.instrumented() as app:
        done = await app.dispatch(Deposit("a", 5))
    span = told()["dispatch Deposit"]
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        "diptych.command.type": "Deposit",
        "diptych.stream": done.stream,
        "diptych.events": 1,
        "diptych.repeated": False,
    }


async def test_it_is_a_child_of_what_its_caller_does(told):
    tracer = told.provider.get_tracer("web")
    async with told.instrumented() as app:
        with tracer.start_as_current_span("POST /deposits") as parent:
            await app.dispatch(Deposit("a", 5))
    assert told()["dispatch Deposit"].parent.span_id == parent.get_span_context().span_id


async def test_an_event_leads_to_its_trace(told):
    async with told.instrumented() as app:
        await app.dispatch(Deposit("a", 5))
        await app.dispatch(Deposit("a", 6), correlation_id="mine")
        stored = await app.log.read(0, 10)
    trace_id = format_trace_id(told._exporter.get_finished_spans()[0].context.trace_id)
    assert f'"{trace_id}"'.encode() in stored[0].meta
    assert b'"mine"' in stored[1].meta


async def test_without_spans_no_correlation_id_is_made_up():
    async with App("bank", BANK) as app:
        instrument(app)
        await app.dispatch(Deposit("a", 5))
        (stored,) = await app.log.read(0, 10)
        plain = (await _stored_without_telemetry()).meta
    assert len(stored.meta) == len(plain)


async def _stored_without_telemetry() -> Any:
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 5))
        return (await app.log.read(0, 10))[0]


async def test_a_rejection_is_an_answer_and_a_conflict_an_error(told):
    async with told.instrumented() as app:
        with pytest.raises(InsufficientFunds):
            await app.dispatch(Withdraw("a", 5))
        with pytest.raises(ConflictError):
            await app.dispatch(Deposit("a", 5), expected_version=9)
    rejected, conflict = told()["dispatch Withdraw"], told()["dispatch Deposit"]
    assert rejected.attributes["diptych.error.code"] == "insufficient_funds"
    assert rejected.status.status_code is StatusCode.UNSET
    assert conflict.status.status_code is StatusCode.ERROR
    assert conflict.status.description == "version_conflict"
    assert not conflict.events


async def test_a_query_is_a_span_that_says_how_long_it_waited(told):
    async with told.instrumented() as app:
        done = await app.dispatch(Deposit("a", 5))
        assert (await app.ask(GetBalance("a"), after=done)).balance == 5
    span = told()["ask GetBalance"]
    assert span.attributes["diptych.query.type"] == "GetBalance"
    assert span.attributes["diptych.token.reached"] is True
    assert span.attributes["diptych.token.waited_s"] >= 0


async def test_a_stale_read_and_a_failing_handler_are_errors(told):
    app = await told.instrumented().open(projections=False)
    done = await app.dispatch(Deposit("a", 5))
    with pytest.raises(StaleRead):
        await app.ask(GetBalance("a"), after=done, within_s=0)
    with pytest.raises(ZeroDivisionError):
        await app.ask(Fail())
    await app.close()
    stale, failed = told()["ask GetBalance"], told()["ask Fail"]
    assert stale.attributes["diptych.token.reached"] is False
    assert stale.status.description == "stale_read"
    assert failed.status.status_code is StatusCode.ERROR
    assert [event.name for event in failed.events] == ["exception"]

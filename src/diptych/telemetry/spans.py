"""Spans of OpenTelemetry around commands and queries."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider

from diptych import __version__
from diptych.commands.envelope import CommandEnvelope, CommandHandler, Done
from diptych.errors import DiptychError, Rejection

__all__ = ["Spans"]


class Spans:
    """A span for every command (`dispatch AddItemToCart`) and every query (`ask GetCart`).

    They are children of the span that is current where the call is made. A command whose caller
    gave no correlation id gets the trace id as one: it is recorded with the events, so that an
    event leads to the trace that it came from, and a trace to its events.

    `provider` says where spans go; default: the one that is set globally. Of a message, only
    its type and the stream's name are put into a span; actors and tenants may be personal.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("diptych", __version__, provider)

    async def dispatching(self, envelope: CommandEnvelope, proceed: CommandHandler) -> Done:
        """The middleware."""
        with self._span("dispatch", envelope.command, "diptych.command.type") as span:
            context = span.get_span_context()
            if envelope.correlation_id is None and context.is_valid:
                trace_id = trace.format_trace_id(context.trace_id)
                envelope = msgspec.structs.replace(envelope, correlation_id=trace_id)
            try:
                done = await proceed(envelope)
            except BaseException as error:
                _tell(span, error)
                raise
            span.set_attribute("diptych.stream", done.stream)
            span.set_attribute("diptych.events", len(done.events))
            span.set_attribute("diptych.repeated", done.repeated)
            return done

    async def asking(self, query: Any, answering: Coroutine[Any, Any, Any]) -> Any:
        """See queries.ask.Watch."""
        with self._span("ask", query, "diptych.query.type") as span:
            try:
                return await answering
            except BaseException as error:
                _tell(span, error)
                raise

    @staticmethod
    def waited(seconds: float, *, reached: bool) -> None:
        """Tell the query's span how long it waited for its token."""
        span = trace.get_current_span()
        span.set_attribute("diptych.token.waited_s", seconds)
        span.set_attribute("diptych.token.reached", reached)

    def _span(self, doing: str, message: Any, key: str) -> Any:
        name = type(message).__name__
        return self._tracer.start_as_current_span(
            f"{doing} {name}",
            kind=SpanKind.INTERNAL,
            attributes={key: name},
            record_exception=False,
            set_status_on_exception=False,
        )


def _tell(span: Span, error: BaseException) -> None:
    """A rejection is an answer and no failure; what is not foreseen comes with its traceback."""
    code = error.code if isinstance(error, DiptychError) else type(error).__name__
    span.set_attribute("diptych.error.code", code)
    if isinstance(error, Rejection | asyncio.CancelledError):
        return
    span.set_status(StatusCode.ERROR, code)
    if not isinstance(error, DiptychError):
        span.record_exception(error)

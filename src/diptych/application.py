"""The application: the one place where handlers, stores and the runners between them meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from diptych.commands.envelope import CommandEnvelope, Done, Middleware
from diptych.commands.idempotency import check_command_id
from diptych.commands.panel import LeftPanel, LeftPanelOptions
from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.events.log import EventLog
from diptych.events.token import Token
from diptych.life import Life
from diptych.messages.catalog import Catalog
from diptych.messages.codec import MAX_MESSAGE_BYTES
from diptych.messages.kinds import Query
from diptych.operations.evolution.transition import EVENTS as MOVES
from diptych.operations.operating import Operating
from diptych.operations.watch import Watch
from diptych.parts import Parts
from diptych.queries.answer import Answer
from diptych.queries.ask import Asker, Consistency, OnStale
from diptych.queries.handler import QueryHandler
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore
from diptych.queries.replicas import Replicas
from diptych.queries.source import Source
from diptych.queries.wait import Arrivals
from diptych.stores import Stores
from diptych.sync.calling import HandlerSource
from diptych.sync.freshness import Waiting
from diptych.sync.handling import Handling
from diptych.sync.hinge import Hinge
from diptych.sync.panels import Panels
from diptych.sync.unseen import unseen_rows

__all__ = ["App"]

A = TypeVar("A")
ReadUrls = str | ReadStore | Mapping[type, str | ReadStore] | None


class App(Operating):
    """An application: commands in, events in a log, read models kept by them, queries out.

    ```python
    app = App("shop", [Cart, CartPages, get_cart], write="sqlite:///shop.db")
    async with app:
        done = await app.dispatch(AddItemToCart("c1", "tea", 2))
        page = await app.ask(GetCart("c1"), after=done.token)
    ```

    Args:
        name: What it is called in messages and on the command line.
        parts: Aggregate classes, deciders, projection classes, event handlers, upcasters, and
            functions that take a command or a query. Annotations route; that is checked here.
        write: URL of the event log (`memory://`, `sqlite:///file.db`, `postgresql://host/name`), or
            an event log of your own.
        read: URL of the read store, or a read store of your own, or one per projection class;
            default: the write database.
        replicas: URLs of streaming replicas of the write database; queries are answered there.
        inline: Projection classes that are folded in the append's transaction: never behind, and
            paid for by the command. All others are asynchronous.
        state_stored: Aggregate classes (or deciders) stored as state instead of as events.
        tables: How aggregates are kept in tables of the write database: `mapped`, `TableOf`.
        keep_events: False: no event is stored, the tables are all there is.
        middleware: Code around every command, outermost first.
        resources: Objects that function handlers may want by their class.
        environment: Clock, ids, chance.
        max_message_bytes: Largest message, as JSON.
        cached_states: How many states are kept in the process between commands; 0: none.

    Raises ConfigurationError for anything that could not work; nothing is opened before first use.
    """

    def __init__(
        self,
        name: str,
        parts: Iterable[Any],
        *,
        write: str | EventLog = "memory://",
        read: ReadUrls = None,
        replicas: Sequence[str] = (),
        inline: Sequence[type] = (),
        state_stored: Sequence[Any] = (),
        tables: Sequence[Any] = (),
        keep_events: bool = True,
        middleware: Sequence[Middleware] = (),
        resources: Sequence[object] = (),
        environment: Environment | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        cached_states: int = 10_000,
    ) -> None:
        self.name = name
        self.write = write
        self.environment = environment or Environment()
        self._parts = Parts(parts, max_message_bytes)
        for event in MOVES:
            self._parts.registry.add(event)
        stores = Stores(write, read, self._parts, self.environment)
        self.log: EventLog = stores.log
        for one in inline:
            stores.check_inline(self._parts.plan_for(one))
        self._arrivals = Arrivals()
        given = {type(one): one for one in resources}
        kept = stores.tables(tables, self._parts, keep_events=keep_events)
        self._commands = Catalog(name, "command", self._parts.commands, max_message_bytes)
        self._queries = Catalog(name, "query", self._parts.queries, max_message_bytes)
        self.left = LeftPanel(
            self.log,
            self._parts.registry,
            self.environment,
            self._commands,
            LeftPanelOptions(state_stored, middleware, given, cached_states, kept, keep_events),
        )
        dispatcher = self.left.bind(self._parts.deciders, self._parts.commands)
        self._dispatch = dispatcher.dispatch
        kept_in = {plan.name: Source(plan, stores.of(plan)) for plan in self._parts.plans.values()}
        self._hinge = Hinge(self.log, self._parts.registry, self._arrivals, self.environment)
        self._panels = Panels(
            self._hinge,
            list(kept_in.values()),
            {self._parts.plan_for(one).name for one in inline},
        )
        called = self._parts.event_handlers.values()
        self._handling = Handling(
            self._hinge, [HandlerSource(one, stores.beside_log(), given) for one in called]
        )
        self.sources = {
            thing: kept_in[plan.name]
            for projection, plan in self._parts.plans.items()
            for thing in ([projection, plan.shape.model] if plan.shape else [projection])
        }
        self._freshness = Waiting(
            self._arrivals, self._panels.refreshing, self.log, self._panels.choose_again
        )
        handlers = {
            query: QueryHandler(spec, self.sources, given)
            for query, spec in self._parts.queries.items()
        }
        self._replicas = Replicas(stores.replicas(replicas), self.log, self.environment)
        self._copied = [one for one in kept_in.values() if stores.is_written_to(one.plan)]
        self._asker = Asker(handlers, self._freshness, self._unseen, self.log, self._replicas)
        self._open = False
        self._life = Life(name)

    # -- life ------------------------------------------------------------------------------------

    async def open(self, *, projections: bool = True) -> Self:
        """Connect, make what is missing, and start the projections (unless told not to).

        Called by `async with`, and by the first dispatch or ask. Calling again does nothing. Raises
        StoreError, and ConfigurationError when an inline projection must be rebuilt first.
        """
        async with self._life.turn():
            if not self._open:
                try:
                    await self.log.open()
                    await self.left.open()
                    await self._panels.open(run=projections)
                    await self._handling.open(run=projections)
                    await self._replicas.open(self._copied)
                except BaseException:
                    await self._let_go()
                    raise
                self._open = True
        return self

    async def close(self) -> None:
        """Finish the commands and queries in flight, stop the projections after their present
        batch, let go.

        Meanwhile new ones are refused (StoreUnavailable); those that come later open it again. When
        this is cancelled, nothing more is waited for.
        """
        with self._life.closing():
            async with self._life.turn():
                if self._open:
                    self._open = False
                    try:
                        await self._life.ended()
                    finally:
                        await self._let_go()

    async def _opened(self) -> None:
        if not self._open:
            self._life.check()
            await self.open()

    async def _let_go(self) -> None:
        try:
            await self.left.close()
            await self._replicas.close()
            await self._handling.stop()
            await self._panels.close()
            await self._handling.close()
        finally:
            await self.log.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- left panel ------------------------------------------------------------------------------

    async def dispatch(
        self,
        command: Any,
        *,
        id: str | None = None,  # noqa: A002  the word callers know
        actor: str | None = None,
        tenant: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        expected_version: int | None = None,
    ) -> Done:
        """Have a command decided and what follows recorded; durable when this returns.

        With an `id` the command has one effect however often it comes: the first answer (also a
        rejection) is given again. `expected_version` refuses it unless its stream stands there. The
        rest is recorded with the events.

        Raises Rejection (the business says no), ConflictError, MessageError, StoreError. After
        OutcomeUnknown or a cancellation, dispatch again with the same id to learn what happened.
        """
        if not self._open:
            await self._opened()
        if id is not None:
            check_command_id(id)
        if self._panels.left_out:
            raise self._without_inline()
        envelope = CommandEnvelope(
            command, id, actor, tenant, correlation_id, causation_id, expected_version
        )
        with self._life:
            return await self._dispatch(envelope)

    def watch(self, watch: Watch) -> None:
        """Have every command, query and wait seen by `watch` from now on; see telemetry.

        It changes none of them, and comes before all middleware.
        """
        self._dispatch = partial(watch.dispatching, proceed=self._dispatch)
        self._asker.watch = watch

    async def load(self, kind: Any, key: object, *, version: int | None = None) -> Any:
        """The write model's state of an aggregate (by class) or decider; at `version` if given.

        The initial state for a key that has no events. Raises ConfigurationError for an unknown
        kind.
        """
        await self._opened()
        return await self.left.load(kind, key, version)

    # -- right panel -----------------------------------------------------------------------------

    @overload
    async def ask(
        self,
        query: Query[A],
        *,
        after: Token | Done | str | None = ...,
        within_s: float = ...,
        on_stale: OnStale = ...,
        consistency: Consistency = ...,
    ) -> A: ...

    @overload
    async def ask(
        self,
        query: object,
        *,
        after: Token | Done | str | None = ...,
        within_s: float = ...,
        on_stale: OnStale = ...,
        consistency: Consistency = ...,
    ) -> Any: ...

    async def ask(
        self,
        query: Any,
        *,
        after: Token | Done | str | None = None,
        within_s: float = 2.0,
        on_stale: OnStale = "error",
        consistency: Consistency = "eventual",
    ) -> Any:
        """Have a query answered from its read models.

        With `after` (a token, also as text, or what a dispatch answered), the answer shows at
        least that: the query waits up to `within_s` seconds for its read models to come that far.
        If they do not, `on_stale` decides: `"error"` raises StaleRead, `"stale"` answers with what
        there is, `"write_model"` folds the missing events on the spot, `"primary"` leaves a replica
        that is behind for the primary (and raises StaleRead when that is behind, too).
        `consistency="write_model"` folds at once, whatever the token: the answer is as new as the
        log.

        Raises StaleRead, ForeignToken, NoHandler, StoreError, and what the handler raises.
        """
        if not self._open:
            await self._opened()
        token = _token_of(after)
        with self._life:
            return await self._asker.ask(query, token, within_s, on_stale, consistency)

    async def answer(
        self,
        query: Any,
        *,
        after: Token | Done | str | None = None,
        within_s: float = 2.0,
        on_stale: OnStale = "error",
        consistency: Consistency = "eventual",
    ) -> Answer:
        """As `ask`; the Answer also says what its rows do not show because it is parked, and how
        new they are.

        Costs one look at the checkpoint of each read model that the query reads.
        """
        await self._opened()
        token = _token_of(after)
        with self._life:
            return await self._asker.answer(query, token, within_s, on_stale, consistency)

    async def head_token(self) -> Token:
        """A token of this moment: a query that waits for it shows everything recorded until now."""
        await self._opened()
        return Token(self.log.identity, await self.log.head())

    # -- what there is (for edges: command line, web, console) -------------------------------------

    @property
    def parts(self) -> Parts:
        """What the application is made of."""
        return self._parts

    def decode_command(self, name: str, data: bytes) -> Any:
        """A command from its type name and JSON. Raises UnknownMessageType, InvalidMessage."""
        return self._commands.decode(name, data)

    def decode_query(self, name: str, data: bytes) -> Any:
        """A query from its type name and JSON. Raises UnknownMessageType, InvalidMessage."""
        return self._queries.decode(name, data)

    def _unseen(self, plan: Plan) -> Any:
        store: ReadStore = self.sources[plan.projection].store
        return lambda: unseen_rows(self.log, self._parts.registry, store, plan)

    def _without_inline(self) -> ConfigurationError:
        names = ", ".join(self._panels.left_out)
        return ConfigurationError(
            f"no command is accepted while the inline projection {names} cannot take part: "
            f"{next(iter(self._panels.left_out.values()))}"
        )


def _token_of(after: Token | Done | str | None) -> Token | None:
    token = after.token if isinstance(after, Done) else after
    return Token.parse(token) if isinstance(token, str) else token

"""What does Python itself cost per message, with no disk to hide behind?

Everything here is CPU time, so other processes on the machine disturb it little.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from benchmarks.clocks import stopwatch
from benchmarks.diptych_cart import Cart
from benchmarks.diptych_cart import ItemAdded as ItemAddedEvent
from benchmarks.events import SAMPLE, ItemAdded
from benchmarks.measuring import Benchmark, Sample, Scale, Target
from benchmarks.order_lines import LINES_PER_CART, NOTE, cart_id
from benchmarks.sqlite.events_file import READ_STREAM, fill, open_apsw
from benchmarks.sqlite.log_file import fill_log
from diptych import App, CommandEnvelope, Done, Token
from diptych.commands.dispatch import Dispatcher
from diptych.commands.envelope import CommandHandler
from diptych.messages.registry import Registry

Handler: TypeAlias = Callable[["Ping"], Awaitable[int]]

BARE = "bare handler"
BY_HAND_MIDDLEWARES = "by hand, three middlewares"
BY_HAND_CODEC = "by hand, encode and decode"
BY_HAND_LOAD = "by hand, load"


class Ping(msgspec.Struct, frozen=True):
    """A command that does nothing."""

    number: int


async def handle(command: Ping) -> int:
    """Handle a command in the least possible way."""
    return command.number


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare dispatch, codec and load with the same by hand, in CPU microseconds."""
    calls = scale.pick(20_000, 300_000)
    loads = scale.pick(200, 2_000)
    path = folder / "dispatch.db"
    fill(path, loads * LINES_PER_CART, keys=1_000)
    log_path = folder / "dispatch-log.db"
    fill_log(log_path, loads * LINES_PER_CART, keys=1_000)
    return Benchmark(
        name="dispatch",
        unit="us of CPU",
        variants={
            BARE: lambda: calling(handle, calls),
            BY_HAND_MIDDLEWARES: lambda: calling(composed(handle), calls),
            BY_HAND_CODEC: lambda: encoding_and_decoding(calls),
            BY_HAND_LOAD: lambda: loading(path, loads),
            "diptych, three middlewares": lambda: dispatching(calls),
            "diptych, encode and decode": lambda: through_the_registry(calls),
            "diptych, load": lambda: loading_aggregates(log_path, loads),
        },
        targets=[
            Target(
                "dispatch, three middlewares",
                "diptych, three middlewares",
                BARE,
                "difference",
                at_most=0.5,
            ),
            Target("the same by hand", BY_HAND_MIDDLEWARES, BARE, "difference"),
            Target(
                "one event, encode and decode",
                "diptych, encode and decode",
                relation="value",
                at_most=1.0,
            ),
            Target("the same by hand", BY_HAND_CODEC, relation="value"),
            Target("load an aggregate, per event", "diptych, load", relation="value", at_most=5.0),
            Target("the same by hand", BY_HAND_LOAD, relation="value"),
        ],
    )


def calling(handler: Handler, calls: int) -> Sample:
    """Await a handler many times; CPU per call."""
    command = Ping(1)

    async def run() -> Sample:
        with stopwatch() as watch:
            for _ in range(calls):
                await handler(command)
        return watch.cpu_us_each(calls)

    return asyncio.run(run())


def composed(handler: Handler) -> Handler:
    """Wrap a handler in three middlewares, once, as an application does at its start."""

    def wrap(inner: Handler) -> Handler:
        async def middleware(command: Ping) -> int:
            return await inner(command)

        return middleware

    return wrap(wrap(wrap(handler)))


def encoding_and_decoding(calls: int) -> Sample:
    """Write and read one event with msgspec and nothing around it."""
    encode = msgspec.json.Encoder().encode
    decode = msgspec.json.Decoder(ItemAdded).decode
    with stopwatch() as watch:
        for _ in range(calls):
            decode(encode(SAMPLE))
    return watch.cpu_us_each(calls)


def loading(path: Path, loads: int) -> Sample:
    """Read carts of ten events, decode them, fold them; CPU per event."""
    db = open_apsw(path)
    decode = msgspec.json.Decoder(ItemAdded).decode
    events = 0
    with stopwatch() as watch:
        for number in range(loads):
            items: dict[str, int] = {}
            for _, _, data in db.execute(READ_STREAM, (cart_id(number),)):
                event = decode(data)
                items[event.sku] = items.get(event.sku, 0) + event.qty
                events += 1
    db.close()
    return watch.cpu_us_each(events)


def dispatching(calls: int) -> Sample:
    """Route a command by its class through three middlewares, in the envelope that they see."""
    done = Done(Token("log", 1))

    async def handler(envelope: CommandEnvelope) -> Done:
        del envelope
        return done

    async def middleware(envelope: CommandEnvelope, proceed: CommandHandler) -> Done:
        return await proceed(envelope)

    dispatcher = Dispatcher({Ping: handler}, [middleware] * 3)
    command = Ping(1)

    async def run() -> Sample:
        with stopwatch() as watch:
            for _ in range(calls):
                await dispatcher.dispatch(CommandEnvelope(command))
        return watch.cpu_us_each(calls)

    return asyncio.run(run())


def through_the_registry(calls: int) -> Sample:
    """Encode an event as an append does (read back and checked), and decode it as a read does."""
    registry = Registry()
    known = registry.add(ItemAddedEvent)
    event = ItemAddedEvent(sku=SAMPLE.sku, qty=SAMPLE.qty, price=SAMPLE.price, note=NOTE)
    with stopwatch() as watch:
        for _ in range(calls):
            registry.decode("ItemAdded", 1, known.codec.encode(event))
    return watch.cpu_us_each(calls)


def loading_aggregates(path: Path, loads: int) -> Sample:
    """Load carts of ten events through the application, no snapshot and no cache; per event."""

    async def run() -> Sample:
        async with App("bench", [Cart], write=f"sqlite:///{path}") as app:
            with stopwatch() as watch:
                for number in range(loads):
                    await app.load(Cart, cart_id(number).removeprefix("cart-"))
            return watch.cpu_us_each(loads * LINES_PER_CART)

    return asyncio.run(run())

"""Who uses the system from outside: they send commands until they are answered, and ask."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diptych.errors import DiptychError, Rejection
from diptych.events.token import Token
from diptych.testing.simulation.history import Answered, Asked, Attempted, Told
from diptych.testing.simulation.marks import ASK, ATTEMPT
from diptych.testing.simulation.process import Process

if TYPE_CHECKING:
    from diptych.testing.simulation.world import World

__all__ = ["Clients", "MakeCommand", "MakeQuery"]

MakeCommand = Callable[[random.Random, int, int], Any]
"""A command, by chance, its number in the run, and the release of the process it is sent to."""

MakeQuery = Callable[[random.Random, Any], Any]
"""What the sender of a command might ask then."""

_PATIENCE_S = (0.3, 2.0)
_PAUSE_S = 0.05


class Clients:
    """All clients of one run."""

    def __init__(self, world: World, command: MakeCommand, query: MakeQuery) -> None:
        self.token: Token | None = None
        self.unanswered: set[str] = set()
        self._world = world
        self._command = command
        self._query = query
        self._attempts = 0
        self._asks = 0

    async def client(self, number: int, commands: int, pause_s: float) -> None:
        """Send so many commands, each until it is answered, and ask in between."""
        chance = self._world.chance
        for one in range(commands):
            await asyncio.sleep(chance.random() * pause_s)
            process = await self._somebody()
            command = self._command(chance, number * 1_000 + one, process.release)
            token = await self._sent(f"c-{number}-{one}", command)
            if token is None:
                continue
            everybody = token if self.token is None else self.token.merge(token)
            for after in {str(one): one for one in (token, everybody)}.values():
                if chance.random() < 0.6:
                    await self._ask(command, after)
            if chance.random() < 0.5:
                self.token = everybody

    async def _sent(self, command_id: str, command: Any) -> Token | None:
        """The token of a command that was accepted in the end; None for one that was rejected."""
        self.unanswered.add(command_id)
        twice = self._world.chance.random() < 0.1
        while True:
            process = await self._somebody()
            tries = [self._attempt(process, command_id, command)]
            if twice:
                tries.append(self._attempt(await self._somebody(), command_id, command))
            answers = await asyncio.gather(*tries)
            for answered, token in answers:
                if answered:
                    self.unanswered.discard(command_id)
                    return token
            await asyncio.sleep(self._world.chance.random() * _PAUSE_S)

    async def _attempt(
        self, process: Process, command_id: str, command: Any
    ) -> tuple[bool, Token | None]:
        self._attempts += 1
        world, attempt = self._world, self._attempts
        who = process.full_name
        world.add(Attempted(who, attempt, command_id, repr(command)))
        working = process.run(_dispatch(process, attempt, command, command_id), "dispatch")
        patience = world.chance.uniform(*_PATIENCE_S)
        await asyncio.wait([working], timeout=patience)
        if not working.done():
            working.cancel()  # the client hangs up
            await asyncio.wait([working])
        if working.cancelled():
            return False, None
        error = working.exception()
        if isinstance(error, Rejection):
            world.add(Answered(who, attempt, command_id, "rejected", repr(error)))
            return True, None
        if isinstance(error, DiptychError):
            world.add(Answered(who, attempt, command_id, error.code, str(error)))
            return False, None
        if error is not None:
            world.notice("", who, f"{command_id} raised {error!r}")
            return True, None
        done = working.result()
        answer = f"{done.events!r} {done.stream} {done.version} {done.token.position}"
        place = done.token.position, done.stream, done.version
        world.add(Answered(who, attempt, command_id, "done", answer, *place))
        return True, done.token

    async def _ask(self, command: Any, after: Token) -> None:
        world = self._world
        process = await self._somebody()
        self._asks += 1
        ask, query = self._asks, self._query(world.chance, command)
        who = process.full_name
        on_stale = world.chance.choice(("error", "error", "error", "stale", "write_model"))
        world.add(Asked(who, ask, repr(query), after.position, after.stream, on_stale))
        asking = process.run(_ask(process, ask, query, after, on_stale), "ask")
        await asyncio.wait([asking], timeout=20)
        if not asking.done():
            world.notice("R10", who, f"{query!r} within 1 s took longer than 20 s")
            asking.cancel()
            await asyncio.wait([asking])
        if asking.cancelled():
            return
        error = asking.exception()
        if isinstance(error, DiptychError):
            world.add(Told(who, ask, error.code, str(error)))
        elif error is not None:
            world.notice("R10", who, f"{query!r} raised {error!r}")
        else:
            world.add(Told(who, ask, "told", repr(asking.result())))

    async def _somebody(self) -> Process:
        while not (ready := self._world.ready()):
            await self._world.environment.sleep(0.02)
        return self._world.chance.choice(ready)


async def _dispatch(process: Process, attempt: int, command: Any, command_id: str) -> Any:
    ATTEMPT.set(attempt)
    return await process.app.dispatch(command, id=command_id)


async def _ask(process: Process, ask: int, query: Any, after: Token, on_stale: Any) -> Any:
    ASK.set(ask)
    return await process.app.ask(query, after=after, within_s=1.0, on_stale=on_stale)

"""Routing goes by annotation and is checked when the application is built."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from banking import (
    BANK,
    Account,
    Deposit,
    Deposited,
    Transfer,
    Withdraw,
    Withdrawn,
    transfer,
)

from diptych import (
    Aggregate,
    App,
    Command,
    CommandEnvelope,
    Decider,
    Environment,
    Event,
    UnitOfWork,
)
from diptych.errors import (
    ConfigurationError,
    InvalidMessage,
    NoHandler,
    UnknownMessageType,
)


class Opened(Event):
    account_id: str


class Open(Command):
    account_id: str


def refused(*parts: Any, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as failed:
        App("bank", parts, **options)
    return str(failed.value)


def test_two_aggregates_that_decide_one_command_are_both_named():
    class Other(Aggregate, key="account_id"):
        def deposit(self, command: Deposit) -> Deposited:
            return Deposited(command.account_id, command.amount)

    text = refused(Account, Other)
    assert "Deposit is handled twice" in text
    assert "Account.deposit" in text
    assert "Other.deposit" in text
    assert "test_routing.py:" in text


def test_an_aggregate_and_a_function_with_one_command_are_both_named():
    def deposit_too(command: Deposit, work: UnitOfWork) -> None: ...

    text = refused(Account, deposit_too)
    assert "Account.deposit" in text
    assert "deposit_too" in text


def test_two_methods_of_one_aggregate_with_one_command_are_both_named():
    class Twice(Aggregate, key="account_id"):
        def one(self, command: Open) -> Opened: ...
        def two(self, command: Open) -> Opened: ...

    text = refused(Twice)
    assert "Twice.one" in text
    assert "Twice.two" in text


def test_two_methods_that_evolve_by_one_event_are_both_named():
    class Twice(Aggregate, key="account_id"):
        def open(self, command: Open) -> Opened: ...
        def one(self, event: Opened) -> None: ...
        def two(self, event: Opened) -> None: ...

    text = refused(Twice)
    assert "Opened evolves Twice twice" in text
    assert "Twice.one" in text
    assert "Twice.two" in text


def test_one_part_listed_twice_is_no_harm():
    App("bank", [*BANK, Account, transfer])


def test_two_write_models_cannot_share_their_streams():
    class Konto(Aggregate, key="account_id", name="Account"):
        def open(self, command: Open) -> Opened: ...

    assert "call their streams 'Account'" in refused(Account, Konto)


def test_two_write_models_cannot_share_a_stream_through_a_dash():
    class Dashed(Aggregate, key="account_id", name="Account-x"):
        def open(self, command: Open) -> Opened: ...

    refused(Account, Dashed)


def test_two_commands_of_one_name_are_both_named():
    class Renamed(Command, name="Deposit"):
        account_id: str

    def handle(command: Renamed) -> None: ...

    assert "Renamed" in refused(Account, handle)


def test_an_aggregate_without_a_key_is_refused():
    with pytest.raises(ConfigurationError, match="names no key"):

        class Keyless(Aggregate):
            pass


def test_a_command_without_the_key_of_its_aggregate_is_refused():
    class Close(Command):
        number: int

    class Shop(Aggregate, key="shop_id"):
        def close(self, command: Close) -> Opened: ...

    assert "Close has no field 'shop_id'" in refused(Shop)


@pytest.mark.parametrize("key", ["", None])
async def test_a_command_with_an_empty_key_is_refused(key):
    async with App("bank", BANK) as app:
        with pytest.raises(InvalidMessage, match="Account needs a key"):
            await app.dispatch(Deposit(key, 1))
        assert await app.log.head() == 0


def test_an_aggregate_that_cannot_start_empty_is_refused():
    class Full(Aggregate, key="account_id"):
        owner: str

        def open(self, command: Open) -> Opened: ...

    assert "cannot start empty" in refused(Full)


def test_an_aggregate_without_decisions_and_evolutions_is_refused():
    class Silent(Aggregate, key="account_id"):
        opened: bool = False

    assert "decides nothing" in refused(Silent)


@pytest.mark.parametrize("options", [{}, {"cached_states": 0}])
async def test_a_decision_that_changes_the_state_is_refused(options):
    class Hasty(Aggregate, key="account_id"):
        times: int = 0

        def open(self, command: Open) -> Opened:
            self.times += 1
            return Opened(command.account_id)

        def opened(self, event: Opened) -> None: ...

    app = App("bank", [Hasty], state_stored=[Hasty], **options)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="changed a state"):
            await app.dispatch(Open("a"))
    assert (await app.load(Hasty, "a")).times == 0
    await app.close()


def test_an_aggregate_may_leave_deciding_to_a_function_handler():
    class Remembering(Aggregate, key="account_id"):
        opened: bool = False

        def was_opened(self, event: Opened) -> None:
            self.opened = True

    App("bank", [Remembering])


def test_a_method_whose_parameter_has_no_annotation_is_refused():
    class Vague(Aggregate, key="account_id"):
        def opened(self, event): ...

    assert "has no annotation" in refused(Vague)


def test_an_evolution_that_returns_a_value_is_refused():
    class Returning(Aggregate, key="account_id"):
        def opened(self, event: Opened) -> int:
            return 1

    assert "annotate it -> None" in refused(Returning)


def test_a_decision_that_does_not_say_what_it_returns_is_refused():
    class Vague(Aggregate, key="account_id"):
        def open(self, command: Open): ...

    assert "does not say which events it returns" in refused(Vague)


def test_parts_that_are_nothing_are_refused():
    for nothing in (3, "Account", Deposit, object()):
        assert "is nothing an application is made of" in refused(nothing)


def test_a_function_that_wants_what_nobody_gave_is_refused():
    class Mailer:
        pass

    def handle(command: Open, mailer: Mailer) -> None: ...

    assert "App(resources=[...])" in refused(handle)
    App("bank", [handle], resources=[Mailer()])


def test_state_stored_and_inline_must_name_parts():
    assert "not listed in App" in refused(*BANK[1:], state_stored=[Account])
    assert "is no projection of this application" in refused(Account, inline=[Account])


async def test_a_command_that_nobody_handles_says_which_are():
    async with App("bank", BANK) as app:
        with pytest.raises(NoHandler, match="this application handles Deposit, Transfer, Withdraw"):
            await app.dispatch(Open("a"))


async def test_an_async_decision_is_refused_and_nothing_is_written():
    class Later(Aggregate, key="account_id"):
        async def open(self, command: Open) -> Opened:
            return Opened(command.account_id)

    try:
        app = App("bank", [Later])
    except ConfigurationError:
        return
    async with app:
        with pytest.raises(ConfigurationError, match="is async"):
            await app.dispatch(Open("a"))
        assert await app.log.head() == 0


def test_an_async_decision_is_refused_when_the_application_is_built():
    class Later(Aggregate, key="account_id"):
        async def open(self, command: Open) -> Opened: ...

    assert "is async" in refused(Later)


def test_an_async_evolution_is_refused_when_the_application_is_built():
    class Later(Aggregate, key="account_id"):
        def open(self, command: Open) -> Opened: ...
        async def opened(self, event: Opened) -> None: ...

    assert "async" in refused(Later)


@pytest.mark.parametrize("result", ["Opened", 7, {"account_id": "a"}, b"x"])
async def test_a_decision_that_returns_no_event_is_refused(result):
    class Wrong(Aggregate, key="account_id"):
        def open(self, command: Open) -> Opened:
            return result

    async with App("bank", [Wrong]) as app:
        with pytest.raises(UnknownMessageType):
            await app.dispatch(Open("a"))
        assert await app.log.head() == 0


async def test_a_decision_may_return_one_event_several_or_none_or_generate_them():
    class Many(Aggregate, key="account_id"):
        def deposit(self, command: Deposit) -> list[Deposited | Withdrawn]:
            return [Deposited("a", command.amount), Withdrawn("a", 1)]

        def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
            for _ in range(command.amount):
                yield Withdrawn("a", 1)

        def open(self, command: Open) -> Opened | None:
            return None

    async with App("bank", [Many]) as app:
        assert (await app.dispatch(Deposit("a", 3))).events == (
            Deposited("a", 3),
            Withdrawn("a", 1),
        )
        assert len((await app.dispatch(Withdraw("a", 3))).events) == 3
        done = await app.dispatch(Open("a"))
        assert done.events == ()
        assert done.token.nothing_changed


async def test_plain_dataclasses_are_messages_too():
    @dataclass(frozen=True)
    class Rename:
        user: str
        name: str

    @dataclass(frozen=True)
    class Renamed:
        user: str
        name: str

    class User(Aggregate, key="user"):
        name: str = ""

        def rename(self, command: Rename) -> Renamed:
            return Renamed(command.user, command.name)

        def renamed(self, event: Renamed) -> None:
            self.name = event.name

    async with App("users", [User]) as app:
        done = await app.dispatch(Rename("u", "Ann"))
        assert done.events == (Renamed("u", "Ann"),)
        assert (await app.load(User, "u")).name == "Ann"


async def test_functions_and_a_class_that_decide_alike_write_the_same_log():
    account = Decider(
        "Account",
        key="account_id",
        initial=int,
        decide=[_deposit, _withdraw],
        evolve=[_deposited, _withdrawn],
    )
    logs = []
    for part in (Account, account):
        async with App("bank", [part], environment=Environment.seeded(1)) as app:
            for command in (Deposit("a", 5), Deposit("a", 7), Withdraw("a", 3)):
                await app.dispatch(command)
            logs.append(await app.log.read(0, 100))
    assert logs[0] == logs[1]


def _deposit(command: Deposit, state: int) -> Deposited:
    return Deposited(command.account_id, command.amount)


def _withdraw(command: Withdraw, state: int) -> Withdrawn:
    return Withdrawn(command.account_id, command.amount)


def _deposited(state: int, event: Deposited) -> int:
    return state + event.amount


def _withdrawn(state: int, event: Withdrawn) -> int:
    return state - event.amount


async def test_a_function_gets_what_it_wants_by_annotation():
    given: list[Any] = []

    class Mailer:
        pass

    mailer = Mailer()

    async def handle(
        command: Open, mail: Mailer, envelope: CommandEnvelope, world: Environment
    ) -> None:
        given.extend([command, mail, envelope.actor, world])

    environment = Environment.seeded(1)
    async with App("bank", [handle], resources=[mailer], environment=environment) as app:
        done = await app.dispatch(Open("a"), actor="ann")
    assert given == [Open("a"), mailer, "ann", environment]
    assert done.token.nothing_changed


async def test_a_plain_def_handles_commands_too():
    seen = []

    def handle(command: Open) -> None:
        seen.append(command)

    async with App("bank", [handle]) as app:
        await app.dispatch(Open("a"))
    assert seen == [Open("a")]


async def test_a_command_handler_that_returns_something_is_refused():
    def handle(command: Open) -> str:
        return "done"

    async with App("bank", [handle]) as app:
        with pytest.raises(ConfigurationError, match="A command handler returns nothing"):
            await app.dispatch(Open("a"))


async def test_middleware_stands_around_every_command_the_first_outermost():
    seen: list[str] = []

    def around(name: str) -> Any:
        async def middleware(envelope: CommandEnvelope, proceed: Any) -> Any:
            seen.append(f"{name} in")
            done = await proceed(envelope)
            seen.append(f"{name} out")
            return done

        return middleware

    async with App("bank", BANK, middleware=[around("a"), around("b")]) as app:
        await app.dispatch(Deposit("x", 1))
    assert seen == ["a in", "b in", "b out", "a out"]


async def test_middleware_may_refuse_or_change_a_command():
    async def double(envelope: CommandEnvelope, proceed: Any) -> Any:
        command = envelope.command
        return await proceed(CommandEnvelope(Deposit(command.account_id, command.amount * 2)))

    async with App("bank", BANK, middleware=[double]) as app:
        assert (await app.dispatch(Deposit("x", 1))).events == (Deposited("x", 2),)


async def test_transfers_pass_through_a_function_handler():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 5))
        done = await app.dispatch(Transfer("a", "b", 5))
        assert done.events == (Withdrawn("a", 5), Deposited("b", 5))
        await asyncio.sleep(0)

"""Event handlers: called once for each event past their mark, in order, and by nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from banking import BANK, Balances, Deposit, Deposited, Withdraw, Withdrawn

from diptych import App, Envelope, EventHandler
from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.errors import ConfigurationError, StaleRead
from diptych.sync.lease import Leases
from diptych.testing.contract.faulty.shared import SharedLog, SharedStore
from diptych.testing.seeded import for_each_seed


class Gateway:
    """What is outside: counts what it is asked to do."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, str]] = []
        self.fails: Counter[int] = Counter()
        self.is_down = False

    def send(self, account: str, amount: int, event_id: str) -> None:
        self.calls.append((account, amount, event_id))
        if self.is_down or self.fails[amount] > 0:
            self.fails[amount] -= 1
            raise ConnectionError(f"no answer to {amount}")

    @property
    def amounts(self) -> list[int]:
        return [amount for _, amount, _ in self.calls]


class Mails(EventHandler, attempts=3, pause_s=0.001, longest_pause_s=0.01):
    async def deposited(self, event: Deposited, envelope: Envelope, gateway: Gateway) -> None:
        gateway.send(event.account_id, event.amount, envelope.event_id)


class AllMails(Mails, start="first"):
    pass


class Letters(EventHandler):
    def moved(self, event: Deposited | Withdrawn, gateway: Gateway) -> None:
        gateway.send(event.account_id, event.amount, "")


def bank(gateway: Gateway, *handlers: type, **options: Any) -> App:
    return App("bank", [*BANK, *handlers], resources=[gateway], **options)


async def test_f34_each_event_is_handled_once_and_in_order():
    gateway = Gateway()
    async with bank(gateway, Mails) as app:
        for amount in range(1, 21):
            await app.dispatch(Deposit("ab"[amount % 2], amount))
        await app.settle()
        stored = await app.log.read(0, 100)
        assert gateway.amounts == list(range(1, 21))
        assert [one for _, _, one in gateway.calls] == [
            Envelope(None, one).event_id for one in stored
        ]


async def test_a_plain_method_is_called_in_a_thread_with_any_of_its_events():
    gateway = Gateway()
    async with bank(gateway, Letters) as app:
        await app.dispatch(Deposit("a", 7))
        await app.dispatch(Withdraw("a", 3))
        await app.settle()
    assert gateway.amounts == [7, 3]


async def test_f34_a_new_handler_sends_nothing_for_history_unless_told(tmp_path):
    url = f"sqlite:///{tmp_path}/bank.db"
    async with App("bank", BANK, write=url) as app:
        for amount in (1, 2):
            await app.dispatch(Deposit("a", amount))
    now, first = Gateway(), Gateway()
    async with bank(now, Mails, write=url) as app:
        await app.dispatch(Deposit("a", 3))
        await app.settle()
    async with bank(first, AllMails, write=url) as app:
        await app.settle()
    assert now.amounts == [3]
    assert first.amounts == [1, 2, 3]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_f34_a_handler_of_an_empty_log_begins_there_for_good(store, tmp_path, request):
    url = f"sqlite:///{tmp_path}/bank.db"
    if store == "postgres":
        url = request.getfixturevalue("postgres_url")
    gateway = Gateway()
    app = await bank(gateway, Mails, write=url).open(projections=False)
    await app.dispatch(Deposit("a", 1))
    await app.close()
    async with app:
        await app.settle()
        assert gateway.amounts == [1]


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def test_f34_after_a_restart_exactly_what_is_past_the_mark_is_handled(tmp_path):
    url, gateway = f"sqlite:///{tmp_path}/bank.db", Gateway()
    for amount in range(1, 6):
        async with bank(gateway, Mails, write=url) as app:
            await app.dispatch(Deposit("a", amount))
            if amount % 2:
                await app.settle()
    async with bank(gateway, Mails, write=url) as app:
        await app.settle()
    assert gateway.amounts == [1, 2, 3, 4, 5]


def test_f34_replays_call_nothing_and_live_events_are_handled_once_meanwhile():
    async def main(environment: Any) -> None:
        gateway, sent, stop = Gateway(), [], []
        async with bank(gateway, Mails, environment=environment) as app:

            async def load() -> None:
                while not stop:
                    sent.append(len(sent) + 1)
                    await app.dispatch(Deposit("abc"[len(sent) % 3], sent[-1]))
                    await environment.sleep(environment.random.random() * 0.01)

            loading = asyncio.create_task(load())
            generations = app.generations(Balances)
            await app.rebuild(Balances)
            await app.rebuild(Balances, in_place=True)
            await generations.build()
            await generations.compare()
            await generations.switch()
            await generations.switch_back()
            await app.verify()
            await app.drift.repair("balances", ["a", "b"])
            stop.append(True)
            await loading
            await app.settle()
        assert gateway.amounts == sent

    for_each_seed(main, range(5))


def test_f34_nothing_is_called_once_another_has_the_lease():
    """The store would refuse the mark, but nobody takes back a mail: the lease is asked before."""

    async def main(environment: Any) -> None:
        gateway = Gateway()
        async with bank(gateway, Mails, environment=environment) as app:
            await app.dispatch(Deposit("a", 1))
            await app.settle()
            store = app._handling.sources[0].store
            other = Leases(store, ["mails"], environment, shares=False)
            await other.seize()
            await app.dispatch(Deposit("a", 2))
            await environment.sleep(0.15)  # before its own runner looks at its leases again
            assert gateway.amounts == [1]
            await other.release()
            await app.settle()
            assert gateway.amounts == [1, 2]

    for_each_seed(main, range(20))


def test_f34_a_handler_that_another_process_is_given_does_no_call_twice():
    """Two share their handlers: the second one comes while calls are under way, and gets one."""

    async def main(environment: Any) -> None:
        calls: Counter[tuple[str, int]] = Counter()

        class One(EventHandler):
            async def deposited(self, event: Deposited) -> None:
                calls["one", event.amount] += 1
                await environment.sleep(0.7)

        class Other(EventHandler):
            async def deposited(self, event: Deposited) -> None:
                calls["other", event.amount] += 1
                await environment.sleep(0.7)

        log, store = MemoryEventLog(environment=environment), MemoryReadStore()
        parts = [*BANK, One, Other]
        apps = [
            App(
                "bank",
                parts,
                write=SharedLog(log),
                read=SharedStore(store),
                environment=environment,
            )
            for _ in range(2)
        ]
        await log.open()
        await store.open(())
        async with apps[0]:
            for amount in range(1, 9):
                await apps[0].dispatch(Deposit("a", amount))
            await environment.sleep(1.0)
            async with apps[1]:
                owners: set[str] = set()
                while len(owners) < 2:
                    owners = {one.owner for one in await apps[0].status() if one.mode == "handler"}
                    await environment.sleep(0.1)
                await apps[0].settle(60)
        assert set(calls.values()) == {1}
        assert len(calls) == 16

    for_each_seed(main, range(10))


async def test_a_call_that_fails_is_made_again_and_then_the_stream_waits():
    gateway = Gateway()
    gateway.fails.update({2: 2, 4: 5})
    async with bank(gateway, Mails) as app:
        for amount in range(1, 8):
            await app.dispatch(Deposit("ab"[amount % 2], amount))
        with pytest.raises(StaleRead, match="mails has parked 'Account-a' at position 4"):
            await app.settle()
        assert gateway.amounts == [1, 2, 2, 2, 3, 4, 4, 4, 5, 7]
        [status] = [one for one in await app.status() if one.mode == "handler"]
        assert (status.name, status.parked_keys, status.lag_events) == ("mails", 1, 0)
        gateway.calls.clear()
        [trial] = await app.parked.retry("mails", dry_run=True)
        assert (trial.left, gateway.calls) == (2, [])
        [failed] = await app.parked.retry("mails")
        assert (failed.failed_at, failed.left, gateway.amounts) == (4, 2, [4])
        [again] = await app.parked.retry("mails")
        assert (again.failed_at, gateway.amounts) == (4, [4, 4])
        [done] = await app.parked.retry("mails")
        assert (done.folded, done.left, gateway.amounts) == (2, 0, [4, 4, 4, 6])
        await app.dispatch(Deposit("a", 8))
        await app.settle()
        assert gateway.amounts[-1] == 8


class Cancelling(EventHandler, attempts=2, pause_s=0.001):
    async def deposited(self, event: Deposited) -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        task.cancel()
        await task


class Exhausted(EventHandler, attempts=2, pause_s=0.001):
    def deposited(self, event: Deposited) -> None:
        next(iter(()))


@pytest.mark.parametrize("handler", [Cancelling, Exhausted])
async def test_what_a_task_or_a_future_cannot_carry_fails_the_call_and_stops_nothing(handler):
    async with App("bank", [*BANK, handler]) as app:
        await app.dispatch(Deposit("a", 1))
        with pytest.raises(StaleRead, match=r"has parked 'Account-a'.*RuntimeError: the handler"):
            await app.settle()
        [retried] = await app.parked.retry(handler.__name__)
        assert (retried.folded, retried.failed_at) == (0, 1)
        with pytest.raises(StaleRead):
            await app.settle()


async def test_closing_lets_go_of_the_leases_of_projections_beside_a_handler(tmp_path):
    url = f"sqlite:///{tmp_path}/bank.db"
    for _ in range(2):
        async with bank(Gateway(), Mails, write=url) as app:
            await app.dispatch(Deposit("a", 1))
            await app.settle()
        async with await bank(Gateway(), Mails, write=url).open(projections=False) as web:
            assert {one.name: one.owner for one in await web.status()} == {
                "balances": "",
                "mails": "",
            }


async def test_a_skipped_event_is_never_handled():
    gateway = Gateway()
    gateway.fails.update({1: 3})
    async with bank(gateway, Mails) as app:
        await app.dispatch(Deposit("a", 1))
        await app.dispatch(Deposit("a", 2))
        with pytest.raises(StaleRead):
            await app.settle()
        await app.parked.skip("mails", "Account-a", 1, reason="known wrong", actor="me")
        await app.settle()
        assert gateway.amounts == [1, 1, 1, 2]


async def test_when_everything_fails_it_is_not_the_events_and_nothing_more_is_parked():
    gateway = Gateway()
    gateway.is_down = True
    async with bank(gateway, Mails) as app:
        for amount in range(1, 31):
            await app.dispatch(Deposit(f"account{amount}", amount))

        await until(lambda: gateway.amounts.count(11) > 5)
        [status] = [one for one in await app.status() if one.mode == "handler"]
        assert (status.state, status.parked_keys, status.position) == ("retrying", 10, 10)
        assert "no answer to 11" in status.why
        gateway.is_down = False
        await app.parked.retry("mails")
        await app.settle()
        assert set(gateway.amounts) == set(range(1, 31))


def test_closing_lets_a_call_end_and_be_marked_but_waits_for_no_retry():
    async def main(environment: Any) -> None:
        gateway, began = Gateway(), []

        class Slow(EventHandler, pause_s=60, longest_pause_s=60):
            async def deposited(self, event: Deposited, gateway: Gateway) -> None:
                began.append(event.amount)
                await environment.sleep(1)
                gateway.send(event.account_id, event.amount, "")

        app = App("bank", [*BANK, Slow], resources=[gateway], environment=environment)
        async with app:
            await app.dispatch(Deposit("a", 1))
            while not began:
                await environment.sleep(0.01)
            source = app._handling.sources[0]
            await app._handling.stop()
            assert gateway.amounts == [1]
            assert source.plan.name == "slow"
        async with app:
            gateway.is_down = True
            await app.dispatch(Deposit("a", 2))
            while gateway.amounts != [1, 2]:
                await environment.sleep(0.01)
            at = environment.monotonic_s()
        assert environment.monotonic_s() - at < 2

    for_each_seed(main, range(5))


def wrong_first() -> type:
    class Wrong(EventHandler):
        def placed(self, event: str) -> None: ...

    return Wrong


def wrong_twice() -> type:
    class Wrong(EventHandler):
        def one(self, event: Deposited) -> None: ...

        def two(self, event: Deposited) -> None: ...

    return Wrong


def wrong_resource() -> type:
    class Wrong(EventHandler):
        def one(self, event: Deposited, loop: asyncio.Event) -> None: ...

    return Wrong


def wrong_nothing() -> type:
    class Wrong(EventHandler):
        pass

    return Wrong


def wrong_name() -> type:
    class Balances(EventHandler):
        def one(self, event: Deposited) -> None: ...

    return Balances


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (wrong_first, r"Wrong.placed .* does not say which event"),
        (wrong_twice, r"Deposited is handled twice in Wrong"),
        (wrong_resource, r"'loop' of .*Wrong.one .* wants .*Event"),
        (wrong_nothing, r"Wrong.* handles nothing"),
        (wrong_name, r"two .*'balances'"),
    ],
)
def test_a_handler_that_cannot_work_is_refused_when_the_app_is_built(made, said):
    with pytest.raises(ConfigurationError, match=said):
        App("bank", [*BANK, made()])


@pytest.mark.parametrize("options", [{"start": "then"}, {"attempts": 0}, {"pause_s": 60}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]):
    with pytest.raises(ConfigurationError, match="attempts are 1 or more"):
        type("Wrong", (EventHandler,), {}, **options)

"""F35: rows changed, deleted and added by hand are named, all of them and no other, and mended."""

from __future__ import annotations

import asyncio

import apsw
import pytest
from banking import BANK, Balance, Balances, Deposit, GetBalance, Withdraw, Withdrawn

from diptych import App
from diptych.queries.read_store import Find

pytestmark = pytest.mark.anyio


async def fill(app: App) -> None:
    await asyncio.gather(*(app.dispatch(Deposit(f"k{n}", n + 1)) for n in range(30)))
    await app.settle()


async def rows_of(app: App):
    return {row.key: row for row in await app.sources[Balances].store.find("balances", Find())}


async def test_f35_verify_names_the_wrong_rows_and_repair_restores_only_them(
    url, by_hand, drift_of
):
    async with App("bank", BANK, write=url) as app:
        drift = drift_of(app)
        await fill(app)
        before = await rows_of(app)
        hands = await by_hand()
        await hands.change("k3", 1_000)
        await hands.delete("k7")
        await hands.add("strange")
        found = await drift.verify()
        assert {one.key: (one.kept, one.expected) for one in found.differences} == {
            "k3": (Balance("k3", 1_000), Balance("k3", 4)),
            "k7": (None, Balance("k7", 8)),
            "strange": (Balance("strange", 5), None),
        }
        assert found.rows == 30
        done = await drift.repair("balances", [one.key for one in found.differences])
        assert (done.written, done.deleted, done.ok) == (("k3", "k7"), ("strange",), True)
        assert await rows_of(app) == before
        assert (await drift.verify()).ok
        # It goes on from there.
        done = await app.dispatch(Deposit("k3", 1))
        assert await app.ask(GetBalance("k3"), after=done.token) == Balance("k3", 5)
        assert (await drift.verify()).ok


async def test_f35_a_row_that_cannot_be_read_any_more_is_named_and_mended(tmp_path, drift_of):
    async with App("bank", BANK, write=f"sqlite:///{tmp_path / 'bank.db'}") as app:
        await fill(app)
        before = await rows_of(app)
        hands = apsw.Connection(str(tmp_path / "bank.db"))
        hands.execute(
            """UPDATE balances SET row = '{"account_id": 7}' WHERE key IN ('k4', 'k12')"""
        )
        found = await drift_of(app).verify()
        assert [one.key for one in found.differences] == ["k12", "k4"]
        assert "no Balance any more" in found.differences[0].kept
        done = await drift_of(app).repair("balances", ["k4", "k12"])
        assert done.ok
        assert await rows_of(app) == before
        hands.close()


async def test_f35_a_handler_bug_in_one_event_type_is_named_by_the_keys_it_touched(url, drift_of):
    async with App("bank", BANK, write=url) as app:
        drift, steps = drift_of(app), app.plan_named(Balances).steps
        right = steps[Withdrawn]
        steps[Withdrawn] = right._replace(call=lambda _row, _event: None)
        await fill(app)
        for account in ("k8", "k21"):
            await app.dispatch(Withdraw(account, 3))
        await app.settle()
        before = await rows_of(app)
        steps[Withdrawn] = right
        found = await drift.verify()
        assert [one.key for one in found.differences] == ["k21", "k8"]
        await drift.repair("balances", [one.key for one in found.differences])
        after = await rows_of(app)
        assert {key for key, row in after.items() if row != before[key]} == {"k21", "k8"}
        assert after["k8"].value == Balance("k8", 6)
        assert (await drift.verify()).ok


async def test_f35_wrong_rows_are_named_and_mended_while_commands_go_on(url, by_hand, drift_of):
    async with App("bank", BANK, write=url) as app:
        drift = drift_of(app)
        await fill(app)
        hands = await by_hand()
        stop, done = False, 0

        async def client(number: int) -> None:
            nonlocal done
            while not stop:
                await app.dispatch(Deposit(f"k{(done * 7 + number) % 40}", 1))
                done += 1

        async def nothing_is_found(commands: int) -> None:
            """Not in 10 verifications, nor in those that it takes for so many commands."""
            rounds, upto = 0, done + commands
            while rounds < 10 or done < upto:
                assert (await drift.verify()).differences == ()
                rounds += 1

        clients = [asyncio.create_task(client(number)) for number in range(4)]
        try:
            await nothing_is_found(50)
            await hands.change("k3", 1_000_000)
            await hands.delete("k7")
            await hands.add("strange")
            # A runner may have had k3 or k7 in hand at that moment: what it wrote then is right.
            for _ in range(20):
                found = {one.key for one in (await drift.verify()).differences}
                assert found <= {"k3", "k7", "strange"}
                assert "strange" in found
            assert (await drift.repair("balances", ["k3", "k7", "strange"])).ok
            await nothing_is_found(50)
        finally:
            stop = True
            await asyncio.gather(*clients)
        await app.settle(30)
        assert (await drift.verify()).ok

"""What must hold after a crash between any two steps, or a call that went wrong."""

from __future__ import annotations

import json

from banking import Account, Richest
from failpoint_workers import UNBEARABLE, Warily, arrived, commands
from test_killed_processes import amounts_per_type
from workers import dispatch_all

from diptych import App


async def check_once(app: App, heard: dict[str, str], seed: int) -> None:
    todo = commands(str(seed))
    answers = await dispatch_all(app, todo)
    assert heard.items() <= answers.items(), "another answer to the same id"
    counted = await amounts_per_type(app)
    assert set(counted.values()) == {1}, "an effect twice"
    accepted = {todo[one].amount for one, text in answers.items() if text.startswith("yes")}
    assert {amount for _, amount in counted} == accepted
    await arrived(app)
    await check_rows(app)


async def check_rows(app: App) -> None:
    rows = {row.account_id: row.balance for row in await app.ask(Richest())}
    assert rows == {name: (await app.load(Account, name)).balance for name in rows}


async def check_parked(app: App) -> None:
    """What cannot be borne and all that follows it in its row is parked; the rest is folded."""
    amounts: dict[str, list[int]] = {}
    parked: list[tuple[str, int, str]] = []
    for one in await app.log.read(0, 100_000):
        facts = json.loads(one.data)
        key, sign = facts["account_id"], 1 if one.type == "Deposited" else -1
        first = facts["amount"] == UNBEARABLE
        if first or key in {each[0] for each in parked}:
            parked.append((key, one.position, "failed" if first else "follows"))
        else:
            amounts.setdefault(key, []).append(sign * facts["amount"])
    store = app.sources[Warily].store
    found = [(one.key, one.position, one.because) for one in await store.parked("warily")]
    assert found == parked
    rows = (await store.load("warily", list("abcde"))).rows
    assert {key: row.value.amounts for key, row in rows.items()} == amounts

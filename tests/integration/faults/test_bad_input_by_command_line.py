"""What a script that sends nonsense to `diptych dispatch` gets: exit code, reason, no event."""

from __future__ import annotations

import json

import apsw
import pytest
from banking import BANK, Balances, Deposit, GetBalance

from diptych import App


def deposit(amount: str = "5", account: str = '"a"', more: str = "") -> str:
    return f'{{"account_id": {account}, "amount": {amount}{more}}}'


DEEP = "[" * 10_000 + "]" * 10_000
LONG = '"' + "x" * 10_000_000 + '"'

BAD = {
    "a 10 MB string as key": deposit(account=LONG),
    "a 10 MB string where a number belongs": deposit(amount=LONG),
    "10,000 nested arrays": deposit(amount=DEEP),
    "10,000 nested arrays alone": DEEP,
    "10,000 nested arrays in an extra field": deposit(more=f', "more": {DEEP}'),
    "NaN": deposit(amount="NaN"),
    "Infinity": deposit(amount="-Infinity"),
    "a fraction": deposit(amount="1.5"),
    "a number beyond 64 bits and more": deposit(amount="1" * 5_000),
    "a wrong type": deposit(amount='"5"'),
    "null": deposit(amount="null"),
    "a wrong key type": deposit(account="5"),
    "an empty key": deposit(account='""'),
    "an extra field": deposit(more=', "color": "red"'),
    "a missing field": '{"account_id": "a"}',
    "no object": '"a"',
    "nothing": "",
    "cut off": '{"account_id": "a", "amou',
    "half a surrogate": deposit(account='"\\ud800"'),
}


@pytest.mark.parametrize("how", ["argument from stdin", "file", "lines"])
async def test_a_command_that_is_none_is_refused_with_a_reason_and_the_log_is_as_it_was(
    how, diptych, tmp_path, url
):
    async with App("bank", BANK, write=url) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
    for what, data in BAD.items():
        if how == "lines":
            if what in ("nothing", "cut off"):
                continue
            line = f'{{"type": "Deposit", "data": {data}}}\n'
            code, (*_, said), stderr = diptych("dispatch", "-", stdin=line)
        elif how == "file":
            (tmp_path / "data.json").write_text(data)
            code, (*_, said), stderr = diptych("dispatch", "Deposit", "@data.json")
        else:
            code, (*_, said), stderr = diptych("dispatch", "Deposit", "-", stdin=data)
        assert code == 3, (what, code, said, stderr[-500:])
        assert said["error"]["message"], what
        assert len(json.dumps(said)) < 5_000, f"{what}: the error repeats the nonsense"
        assert "Traceback" not in stderr, what
    assert diptych("dispatch", "Nonsense", "{}")[0] == 3
    async with App("bank", BANK, write=url) as app:
        assert await app.log.head() == 1
        assert (await app.verify()).ok


async def test_lines_before_a_bad_one_are_done_and_those_after_it_are_not(diptych, url):
    good = '{"type": "Deposit", "data": {"account_id": "a", "amount": 1}}\n'
    bad = '{"type": "Deposit", "data": {"account_id": "a", "amount": NaN}}\n'
    code, said, _ = diptych("dispatch", "-", stdin=good + good + bad + good)
    assert code == 3
    assert [line.get("line") for line in said] == [1, 2, None]
    assert "line 3" in said[2]["error"]["message"]
    async with App("bank", BANK, write=url) as app:
        assert await app.log.head() == 2


@pytest.mark.parametrize("table", ["log", "read_store"])
async def test_a_database_of_a_newer_schema_is_refused_by_app_and_command_line(
    table, diptych, tmp_path, url
):
    async with App("bank", BANK, write=url) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
    connection = apsw.Connection(str(tmp_path / "bank.db"))
    connection.execute(f"UPDATE {table} SET schema_version = 99")
    connection.close()
    before = (tmp_path / "bank.db").read_bytes()
    for options in ({}, {"inline": [Balances]}):
        app = App("bank", BANK, write=url, **options)
        with pytest.raises(Exception, match="Upgrade diptych") as refused:
            await app.dispatch(Deposit("a", 1))
        assert refused.value.code == "schema_too_new"
        with pytest.raises(Exception, match="Upgrade diptych"):
            await app.ask(GetBalance("a"))
        await app.close()
    code, (*_, said), stderr = diptych("dispatch", "Deposit", deposit())
    assert code == 1
    assert said["error"]["code"] == "schema_too_new"
    assert "Traceback" not in stderr
    for arguments in (["ask", "Richest"], ["events", "tail"], ["projections", "status"], ["check"]):
        assert diptych(*arguments)[0] != 0, arguments
    assert (tmp_path / "bank.db").read_bytes() == before

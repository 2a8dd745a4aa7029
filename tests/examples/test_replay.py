"""The replay of real order lines: nothing lost, nothing doubled, the same answers every time."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from diptych import CommandEnvelope, Environment
from diptych.errors import OutcomeUnknown, StoreUnavailable
from diptych_examples.shop.app import shop
from diptych_examples.shop.demo import (
    DATA,
    Report,
    Tick,
    default_source,
    print_report,
    run_demo,
)
from diptych_examples.shop.replay.ledger import Ledger, OtherReplay
from diptych_examples.shop.replay.rules import is_return, is_sale, script_of
from diptych_examples.shop.replay.running import Replay
from diptych_examples.shop.replay.source import COLUMNS, read_source

SAMPLE = DATA / "sample.csv.gz"
COUNTED = (
    "lines",
    "lines_accepted",
    "lines_rejected",
    "commands",
    "accepted",
    "accepted_by_command",
    "rejected",
    "events",
    "orders_placed",
    "returns_accepted",
    "revenue_by_country",
    "refunds_by_country",
    "queries",
    "verified",
    "verified_rows",
)


def counts(report: Report) -> dict[str, Any]:
    return {name: getattr(report, name) for name in COUNTED}


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, *lines: tuple[Any, ...]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *lines])
    return path


@pytest.fixture(scope="module")
def sample_report() -> Report:
    """A run over the sample that nobody disturbed."""
    return asyncio.run(run_demo("memory://", SAMPLE, in_flight=64))


def test_every_line_of_the_sample_is_answered(sample_report: Report):
    assert sample_report.lines == len(rows(SAMPLE))
    accepted, rejected = sample_report.lines_accepted, sample_report.lines_rejected
    assert sum(accepted.values()) + sum(rejected.values()) == sample_report.lines
    assert sample_report.commands == sample_report.accepted + sum(sample_report.rejected.values())


def test_the_sample_has_some_of_everything(sample_report: Report):
    assert set(sample_report.accepted_by_command) == {
        "AddItemToCart",
        "CheckOut",
        "ListProduct",
        "ReceiveStock",
        "RegisterCustomer",
        "ReturnItems",
        "ShipOrder",
        "WriteOffStock",
    }
    assert {"blank", "bought_fewer", "never_bought", "unknown_country"} <= set(
        sample_report.lines_rejected
    )


def test_every_read_model_is_verified(sample_report: Report):
    assert sample_report.verified
    assert sample_report.differences == []
    assert sample_report.verified_rows > 1_000


def test_revenue_is_what_the_file_says(sample_report: Report):
    pence: Counter[str] = Counter()
    for row in rows(SAMPLE):
        if int(row["Quantity"]) > 0 and row["Country"] != "Unit":
            price = (Decimal(row["UnitPrice"]) * 100).quantize(Decimal(1), ROUND_HALF_UP)
            pence[row["Country"]] += int(price) * int(row["Quantity"])
    revenue = sample_report.revenue_by_country
    assert {name: round(100 * pounds) for name, pounds in revenue.items() if pounds} == {
        name: one for name, one in pence.items() if one
    }


async def test_the_number_in_flight_changes_nothing(sample_report: Report):
    for in_flight in (1, 7, 1_000):
        assert counts(await run_demo("memory://", SAMPLE, in_flight)) == counts(sample_report)


async def test_progress_ends_with_everything_done():
    ticks: list[Tick] = []
    await run_demo("memory://", SAMPLE, progress=ticks.append)
    last = {tick.stage: tick for tick in ticks}
    assert (last["replaying"].done, last["replaying"].total) == (len(rows(SAMPLE)),) * 2
    assert last["verifying"].done == last["verifying"].total


def test_the_report_is_json_and_readable(sample_report: Report):
    shown = json.loads(sample_report.to_json())
    assert shown["verified"] is True
    assert shown["commands_per_s"] > 0
    assert len(shown["queries"]) == 3
    text = io.StringIO()
    print_report(sample_report, Console(width=120, file=text))
    assert "verified" in text.getvalue()
    assert "rejected: never_bought" in text.getvalue()


# -- dirty lines -----------------------------------------------------------------------------------


async def test_a_line_that_cannot_be_read_is_rejected_and_the_rest_goes_on(tmp_path: Path):
    file = write(
        tmp_path / "dirty.csv",
        ("1", "A", "TEA", "2", "2010-12-01T08:26", "1.25", "7", "EIRE"),
        ("1", "B", "POT", "two", "2010-12-01T08:26", "1.25", "7", "EIRE"),
        ("1", "C", "CUP", "2", "yesterday", "1.25", "7", "EIRE"),
        ("1", "D", "JAR", "2", "2010-12-01T08:26", "cheap", "7", "EIRE"),
        ("1", "", "JAR", "2", "2010-12-01T08:26", "1.25", "7", "EIRE"),
        ("1", "E"),
        (),
        ("2", "A", "TEA", "x", "2010-12-02T08:26", "1.25", "7", "EIRE"),
        ("3", "A", "TEA", "0", "2010-12-02T08:26", "1.25", "7", "EIRE"),
        ("4", "A", "TEA", "1", "2010-12-02T08:26", "-1.25", "7", "EIRE"),
    )
    report = await run_demo("memory://", file)
    assert report.lines == 10
    assert report.lines_accepted == {"AddItemToCart": 1}
    assert report.lines_rejected == {"unreadable": 7, "impossible": 2}
    assert report.rejected == {"unreadable": 7, "empty_cart": 2, "impossible": 2}
    assert report.revenue_by_country == {"EIRE": 2.5}
    assert report.verified


async def test_an_empty_file_is_an_empty_shop(tmp_path: Path):
    report = await run_demo("memory://", write(tmp_path / "empty.csv"))
    assert (report.lines, report.commands, report.verified) == (0, 0, True)


def test_another_kind_of_file_is_refused(tmp_path: Path):
    file = tmp_path / "other.csv"
    file.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(ValueError, match="InvoiceNo"):
        read_source(file)


async def test_a_database_holds_the_replay_of_one_file(tmp_path: Path):
    line = ("1", "A", "TEA", "2", "2010-12-01T08:26", "1.25", "7", "EIRE")
    one, other = write(tmp_path / "one.csv", line), write(tmp_path / "other.csv", line, line)
    await run_demo(tmp_path / "shop.db", one)
    with pytest.raises(OtherReplay):
        await run_demo(tmp_path / "shop.db", other)
    report = await run_demo(tmp_path / "shop.db", other, fresh=True)
    assert report.lines == 2


def test_lines_of_an_invoice_belong_together_wherever_they_stand(tmp_path: Path):
    def line(invoice: str) -> tuple[str, ...]:
        return (invoice, "A", "TEA", "2", "2010-12-01T08:26", "1.25", "7", "EIRE")

    source = read_source(write(tmp_path / "mixed.csv", line("1"), line("2"), line("1")))
    assert [(one.number, len(one.lines)) for one in source.invoices] == [("1", 2), ("2", 1)]


@pytest.mark.skipif(
    default_source() == SAMPLE, reason="the full file is in a checkout, not in a package"
)
def test_the_readme_counts_what_is_in_the_full_file():
    script = script_of(read_source(default_source()))
    kinds: Counter[str] = Counter()
    for invoice in script.source.invoices:
        kind = "sale" if is_sale(invoice) else "return" if is_return(invoice) else "note"
        for line in invoice.lines:
            assert not line.unreadable
            ending = (" less" if line.quantity < 0 else " more") if kind == "note" else ""
            kinds[kind + ending] += 1
    assert kinds == {"sale": 234_552, "return": 4_350, "note less": 737, "note more": 368}
    ids = [step.command_id for scene in script.invoices for step in scene.play()]
    assert len(ids) == len(set(ids))
    readme = (DATA.parent / "README.md").read_text()
    assert "| 234,552 on sales |" in readme
    assert "65,877 sale lines name no customer" in readme
    guests = sum(
        not line.customer_id
        for invoice in script.source.invoices
        if is_sale(invoice)
        for line in invoice.lines
    )
    assert guests == 65_877


async def test_a_command_of_unknown_outcome_is_dispatched_again(sample_report: Report):
    source = read_source(SAMPLE)
    lost = random.Random(5)

    async def lossy(envelope: CommandEnvelope, proceed: Any) -> Any:
        done = await proceed(envelope)
        if envelope.command_id and lost.random() < 0.05:
            raise OutcomeUnknown("the answer got lost", command_id=envelope.command_id)
        return done

    async with shop(more=[Ledger], middleware=[lossy]) as app:
        replay = Replay(app, script_of(source), 64)
        await replay.start()
        await replay.run()
        assert replay.tally.accepted == sample_report.accepted_by_command
        assert replay.tally.rejected == sample_report.rejected
        assert await app.log.head() == sample_report.events


async def test_a_store_that_stays_away_ends_the_replay_with_its_error():
    async def away(envelope: CommandEnvelope, proceed: Any) -> Any:
        if envelope.command_id:
            raise StoreUnavailable("the disk is full")
        return await proceed(envelope)

    environment = Environment.seeded(1)
    async with shop(more=[Ledger], middleware=[away], environment=environment) as app:
        replay = Replay(app, script_of(read_source(SAMPLE)), 64)
        await replay.start()
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            await replay.run()


# -- kill -9 ---------------------------------------------------------------------------------------

CHILD = """
import asyncio, sys
from diptych_examples.shop.demo import run_demo
def tick(now):
    print(now.stage, now.done, flush=True)
print(asyncio.run(run_demo(sys.argv[1], sys.argv[2], int(sys.argv[3]), tick)).to_json())
"""


def start(database: Path, in_flight: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(database), str(SAMPLE), str(in_flight)],
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_at(child: subprocess.Popen[str], lines: int, delay_s: float) -> bool:
    """Kill once the child says it has done so many lines; False if it was finished before."""
    with child:
        assert child.stdout is not None
        for said in child.stdout:
            stage, _, done = said.partition(" ")
            if stage == "replaying" and int(done) >= lines:
                time.sleep(delay_s)
                child.kill()
                return child.wait() == -signal.SIGKILL
    return False


async def kept_rows(database: Path) -> dict[str, dict[str, bytes]]:
    """Every row of every read model, as JSON."""
    from diptych.queries.read_store import Find

    async with shop(f"sqlite:///{database}", more=[Ledger]) as app:
        kept = {}
        for plan in app.parts.plans.values():
            found = await app.sources[plan.projection].store.find(plan.name, Find())
            kept[plan.name] = {row.key: msgspec.json.encode(row.value) for row in found}
        return kept


@pytest.mark.timeout(180)
@pytest.mark.parametrize("in_flight", [1, 64])
async def test_a_killed_replay_continues_without_a_lost_or_doubled_command(
    tmp_path: Path, in_flight: int, sample_report: Report
):
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  pytest shows it when it fails
    chance = random.Random(seed)
    database = tmp_path / "killed.db"
    kills = 0
    for at in sorted(chance.randrange(1, len(rows(SAMPLE))) for _ in range(4)):
        kills += kill_at(start(database, in_flight), at, chance.random() * 0.2)
    print(f"{kills} kills")  # noqa: T201  likewise
    with start(database, in_flight) as child:
        assert child.stdout is not None
        *_, last = child.stdout
    report = msgspec.json.decode(last, type=Report)
    assert counts(report) == counts(sample_report)

    undisturbed = await run_demo(tmp_path / "undisturbed.db", SAMPLE, in_flight)
    assert counts(undisturbed) == counts(sample_report)
    assert await kept_rows(database) == await kept_rows(tmp_path / "undisturbed.db")


async def test_a_finished_replay_is_reported_again_or_started_again(tmp_path: Path):
    first = await run_demo(tmp_path / "shop.db", SAMPLE)
    again = await run_demo(tmp_path / "shop.db", SAMPLE)
    assert again.finished_before
    assert counts(again) == counts(first)
    anew = await run_demo(tmp_path / "shop.db", SAMPLE, restart_finished=True)
    assert not anew.finished_before
    assert counts(anew) == counts(first)

"""The table of metrics, the alert rules and the dashboard name the metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from diptych.telemetry.names import METRICS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
LABELS_OF_OTHERS = {"le"}


def exposed_names() -> set[str]:
    """What can stand in an expression: of a histogram, its three series."""
    endings = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
    return {one.name + end for one in METRICS.values() for end in endings[one.kind]}


def strings_of(value: Any, key: str) -> list[str]:
    if isinstance(value, dict):
        here = [value[key]] if isinstance(value.get(key), str) else []
        return here + [found for one in value.values() for found in strings_of(one, key)]
    if isinstance(value, list):
        return [found for one in value for found in strings_of(one, key)]
    return []


def rules_of(text: str) -> list[dict[str, str]]:
    """The rules of the file; it is simple enough to be read without a library for YAML."""
    found = []
    for rule in re.split(r"\n      - (?=alert: )", text)[1:]:
        expression = re.search(r"expr: (?:>\n)?(.*?)\n        (?:for|labels):", rule, re.DOTALL)
        assert expression is not None, rule
        found.append({"alert": rule.split()[1], "expr": expression[1], "all": rule})
    return found


ALERTS = rules_of((REFERENCE / "alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((REFERENCE / "dashboard.json").read_text(encoding="utf-8"))
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + strings_of(DASHBOARD, "expr")


def test_the_table_is_what_the_code_says():
    text = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(diptych_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    assert rows == [
        (one.name, one.kind, ", ".join(f"`{label}`" for label in one.labels) or "-", one.says)
        for one in METRICS.values()
    ]


def test_there_are_rules_and_panels():
    assert len(ALERTS) >= 10
    assert len(EXPRESSIONS) > len(ALERTS)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_metrics_and_labels_that_are_there(expression: str):
    names = set(re.findall(r"\bdiptych_\w+", expression))
    assert names
    assert names <= exposed_names()
    labels = re.findall(r"\bby \(([^)]*)\)", expression) + re.findall(r"{(\w+)=", expression)
    asked = {one.strip() for each in labels for one in each.split(",")} - LABELS_OF_OTHERS
    known = {label for one in METRICS.values() for label in one.labels if _is_in(one.name, names)}
    assert asked <= known


def _is_in(name: str, names: set[str]) -> bool:
    return any(one.startswith(name) for one in names)


def test_every_metric_is_on_the_dashboard():
    shown = " ".join(strings_of(DASHBOARD, "expr"))
    assert [name for name in METRICS if name not in shown] == []


def test_every_alert_is_explained_and_no_other_is():
    page = (ROOT / "docs" / "how-to" / "watch-it-run.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(Diptych[A-Z]\w+)`", page)) == {rule["alert"] for rule in ALERTS}


def test_every_outcome_that_an_alert_asks_for_is_one_there_is():
    says = " ".join(one.says for one in METRICS.values())
    asked = {one for each in EXPRESSIONS for one in re.findall(r'outcome="(\w+)"', each)}
    assert asked
    assert all(re.search(rf"\b{one}\b", says) for one in asked)

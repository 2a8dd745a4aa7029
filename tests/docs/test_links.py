"""Every link inside the documentation leads somewhere: to a file, and to a heading in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        ROOT / "benchmarks" / "README.md",
        *sorted(ROOT.glob("docs/**/*.md")),
    ]
    if path.exists()
]

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
CLICK = re.compile(r"^\s*click \S+ (?:href )?\"(?P<target>[^\"]+)\"", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.MULTILINE)
CODE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}).*?^(?P=indent)(?P=fence) *$", re.MULTILINE | re.DOTALL
)


def without_code(text: str) -> str:
    """The page with its fenced blocks emptied, so that no code looks like a link or a heading."""
    return CODE.sub("", text)


def anchors_of(text: str) -> set[str]:
    """The anchors that Markdown makes of headings: lower case, hyphens, no punctuation."""
    anchors: set[str] = set()
    for match in HEADING.finditer(without_code(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["text"]).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        number, wanted = 0, anchor
        while wanted in anchors:
            number += 1
            wanted = f"{anchor}-{number}"
        anchors.add(wanted)
    return anchors


def targets_of(text: str) -> Iterator[str]:
    for match in LINK.finditer(without_code(text)):
        yield match["target"]
    for match in CLICK.finditer(text):
        yield match["target"]


def is_inside(target: str) -> bool:
    return not re.match(r"[a-z]+:", target)


def broken(page: Path) -> list[str]:
    found = []
    for target in dict.fromkeys(targets_of(page.read_text(encoding="utf-8"))):
        if not is_inside(target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            found.append(f"{target}: no such file")
            continue
        if (
            anchor
            and there.suffix == ".md"
            and anchor not in anchors_of(there.read_text(encoding="utf-8"))
        ):
            found.append(f"{target}: no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path):
    assert broken(page) == []


def test_every_page_can_be_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve()
        for target in targets_of(index.read_text(encoding="utf-8"))
        if is_inside(target)
    }
    pages = {path.resolve() for path in ROOT.glob("docs/**/*.md")} - {index.resolve()}
    assert sorted(path.name for path in pages - linked) == []


def test_headings_become_anchors_as_readers_know_them():
    assert anchors_of("# A `code` word, and more\n\n## Twice\n## Twice\n") == {
        "a-code-word-and-more",
        "twice",
        "twice-1",
    }


def test_links_in_code_are_not_followed():
    assert list(targets_of("```python\n[a](b)\n```\n")) == []

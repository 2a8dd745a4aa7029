"""What a terminal of 80 columns shows: nothing wider, nothing that plays with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals on this system")

LONG = "an-account-with-a-name-that-nobody-would-ever-want-to-type-twice-" * 2


@pytest.fixture
def on_terminal(folder, environment):
    """Run on a terminal of 80 columns, and give the lines it shows."""

    def run(*args: str) -> list[str]:
        ours, theirs = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "diptych.cli", *args],
            cwd=folder,
            env=environment | {"TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65_536):
                shown += data
        except OSError:  # Linux says so when the other end is closed
            pass
        assert process.wait(30) == 0
        os.close(ours)
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
        return text.replace("\r\n", "\n").splitlines()

    return run


@pytest.mark.parametrize(
    "args",
    [
        ["events", "tail"],
        ["events", "show", "Account-a"],
        ["projections", "status"],
        ["check"],
        ["verify"],
        ["ask", "Richest"],
        ["ask", "GetBalance", '{"account_id": "a"}'],
        ["--help"],
    ],
    ids=" ".join,
)
def test_nothing_is_wider_than_the_terminal(on_terminal, diptych, deposits, args: list[str]):
    deposits(3, amount=10**15)
    data = json.dumps({"account_id": LONG, "amount": 5})
    assert diptych("dispatch", "Deposit", data).returncode == 0
    lines = on_terminal(*args)
    assert lines
    assert max(map(len, lines)) <= 80


def test_an_event_on_a_terminal(on_terminal, deposits):
    deposits(1)
    first, second = (line.rstrip() for line in on_terminal("events", "tail"))
    assert re.fullmatch(r" {8}1  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  Deposited  Account-a v1", first)
    assert second == "           account_id=a  amount=1"


def test_a_token_is_not_broken_so_that_it_can_be_copied(on_terminal):
    lines = on_terminal("dispatch", "Deposit", '{"account_id": "a", "amount": 5}')
    assert re.fullmatch(r"token {3}[\w-]+", lines[-1])

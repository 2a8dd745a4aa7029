"""Which process is certainly gone; where nobody can tell, none is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.processes import importing_from

from diptych import environment as module
from diptych.environment import Environment

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/stat"),  # noqa: PTH110
    reason="processes are looked up in /proc",
)
PROGRAM = (
    "from diptych.environment import Environment; print(Environment().process, flush=True); input()"
)


@pytest.fixture
def other(processes):
    """Another process, and its name."""
    process = processes.start("-c", PROGRAM, env=importing_from(*sys.path), stdin=subprocess.PIPE)
    return process, process.stdout.readline().strip()


def test_a_process_is_gone_once_it_has_ended_also_before_anybody_has_collected_it(other):
    process, name = other
    here = Environment()
    assert not here.is_gone(name)
    assert not here.is_gone(here.process)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert here.is_gone(name), "it is a zombie"
    process.wait()
    assert here.is_gone(name)


def test_another_process_with_the_same_number_is_not_taken_for_it(other):
    _, name = other
    assert Environment().is_gone(f"{name[:-1]}{(int(name[-1]) + 1) % 10}")


@pytest.mark.parametrize(
    "name", ["", "seed-7", "x@host:1:2", "1@host:otherm:12", "1@host::12", "1@host:{here}:"]
)
def test_what_nobody_can_tell_is_not_gone(name):
    machine = Environment().process.rsplit(":", 2)[1]
    assert not Environment().is_gone(name.format(here=machine))


def test_a_process_that_this_user_may_not_see_is_not_gone(other, monkeypatch):
    process, name = other
    started = module._started
    monkeypatch.setattr(module, "_started", lambda pid: "" if pid == process.pid else started(pid))
    assert not Environment().is_gone(name), "/proc hides it (hidepid), and it lives"
    process.kill()
    process.wait()
    assert Environment().is_gone(name)


def test_a_process_of_another_user_lives(monkeypatch):
    monkeypatch.setattr(module, "_started", lambda _: "")

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    machine = Environment().process.rsplit(":", 2)[1]
    assert not Environment().is_gone(f"1@host:{machine}:12")

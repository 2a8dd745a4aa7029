"""`diptych metrics --port` as a process that Prometheus would scrape, and `diptych health`."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request


def test_metrics_are_served_until_it_is_stopped(start, deposits):
    deposits(2)
    process = start("metrics", "--port", "0", "--json")
    url = json.loads(process.stdout.readline())["url"]
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert b"\ndiptych_log_head_position 2.0\n" in answer.read()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stderr.read() == ""


def test_it_stops_while_somebody_is_connected_who_says_nothing(start, deposits):
    deposits(1)
    process = start("metrics", "--port", "0", "--json")
    port = int(json.loads(process.stdout.readline())["url"].split(":")[2].split("/")[0])
    with (
        socket.create_connection(("127.0.0.1", port)),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20),
    ):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_said_in_one_line(diptych, deposits):
    deposits(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = diptych("metrics", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert done.stderr.startswith("error: cannot serve metrics at 127.0.0.1:")
    assert done.stderr.count("\n") == 1


def test_health_of_a_file(diptych, deposits):
    deposits(3)
    done = diptych("health", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["alive"], answer["ready"]) == (True, True)
    assert answer["projections"][0]["lag_events"] == 3

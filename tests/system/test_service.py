"""What all four services do alike as processes."""

import os
import signal
import socket
import subprocess
import time

import pytest

from deck import Deck
from workshop import RELEASE, wait_for

SERVICES = ("auth", "gateway", "converter", "notifier")


@pytest.fixture
def deck(tmp_path):
    made = Deck(tmp_path)
    yield made
    made.close()


def run(name, *arguments, **options):
    return subprocess.run(
        [str(RELEASE / "tapedeck"), name, *arguments],
        capture_output=True, text=True, timeout=60, **options,
    )


def start(deck, name, **options):
    """On ports of its own."""
    ports = {f"{port}.listen": "127.0.0.1:0" for port in ("ops", "auth", "gateway")}
    service = deck.start(name, ports, **options)
    wait_for(lambda: "event=listening" in service.log(), what="that it listens")
    return service


@pytest.mark.parametrize("name", SERVICES)
def test_its_command_line(name, tmp_path):
    assert run(name, "--help").returncode == 0
    assert f"tapedeck {name}" in run(name, "--help").stdout
    result = run(name, "extra")
    assert result.returncode == 2 and "extra" in result.stderr
    result = run(name, "--set", "gateway.lisen=127.0.0.1:0")
    assert result.returncode == 1 and "gateway.listen" in result.stderr  # what was probably meant
    result = run(name, "--config", str(tmp_path / "absent.ini"))
    assert result.returncode == 1 and "absent.ini" in result.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_one_signal_stops_it(deck, name):
    for number in (signal.SIGTERM, signal.SIGINT):
        service = start(deck, name)
        service.process.send_signal(number)
        assert service.process.wait(timeout=60) == 0
        assert "event=stopped" in service.log()


def test_a_second_signal_ends_it_at_once(deck):
    deck.start_auth()
    deck.start_gateway({"stop.drain_max": "60s"})
    token = deck.login()
    with deck.connect() as connection:
        connection.sendall(
            b"POST /v1/conversions HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\n\r\nabc"
        )
        wait_for(deck.records, what="an open upload")
        deck.gateway.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "event=stopping" in deck.gateway.log(), what="that it stops")
        time.sleep(0.5)
        assert deck.gateway.is_running()
        deck.gateway.process.send_signal(signal.SIGTERM)
        assert deck.gateway.process.wait(timeout=30) == 128 + signal.SIGTERM


@pytest.mark.parametrize("name", SERVICES)
def test_it_ends_with_its_supervisor(deck, name):
    reading, writing = os.pipe()
    ports = [f"{port}.listen=127.0.0.1:0" for port in ("ops", "auth", "gateway")]
    arguments = [x for option in [f"data.dir={deck.data}", *ports] for x in ("--set", option)]
    with subprocess.Popen(
        [str(RELEASE / "tapedeck"), name, *arguments],
        pass_fds=[reading],
        env={**os.environ, "TAPEDECK_SUPERVISOR_FD": str(reading)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(reading)
        time.sleep(0.5)
        assert process.poll() is None
        os.close(writing)
        assert process.wait(timeout=60) == 0
        assert "supervisor ended" in process.stderr.read()


@pytest.mark.parametrize(
    "name, option", [("auth", "auth.listen"), ("gateway", "gateway.listen"), ("notifier", "ops.listen")]
)
def test_a_port_in_use_is_said(deck, name, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        options = {"ops.listen": "127.0.0.1:0", option: address}
        service = deck.start(name, options)
        assert service.process.wait(timeout=60) == 1
        assert address in service.log() and "cannot start" in service.log()


def test_as_many_descriptors_as_the_system_allows(deck):
    service = start(deck, "gateway")
    limits = open(f"/proc/{service.process.pid}/limits").read()
    [line] = [line for line in limits.splitlines() if line.startswith("Max open files")]
    soft, hard = map(int, line.split()[3:5])
    assert soft == min(hard, 65536)

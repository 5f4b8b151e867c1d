"""`tapedeck serve`: the supervisor of the four services."""

import contextlib
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import requests

import media
from deck import ANNA
from served import SERVICES, Served, descendants_of, is_alive
from workshop import RELEASE, wait_for


def mode_of(path):
    return oct(path.stat().st_mode & 0o777)


def ordered(log, pattern):
    """The services whose lines match, in the order of the log."""
    return re.findall(rf"service=(\w+) {pattern}", log)


def wait_for_line(service, text, seconds=60):
    wait_for(lambda: text in service.log(), seconds, f"the log line {text}")


def open_upload(deck, video, sent):
    """A connection that has sent the headers and the first bytes of a raw upload."""
    connection = deck.connect()
    connection.sendall(
        f"POST /v1/conversions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {deck.token}\r\n"
        f"Content-Length: {len(video)}\r\n\r\n".encode()
        + video[:sent]
    )
    wait_for(lambda: deck.blobs("video"), what="the upload's blob")
    return connection


# ---- Starting ----


def test_it_is_ready_with_all_four_services_and_private_files(serve):
    assert set(serve.service_pids()) == set(SERVICES)
    assert mode_of(serve.data) == "0o700"
    for path in serve.data.rglob("*"):
        if not path.is_socket():
            assert mode_of(path) in ("0o700", "0o600"), path
    assert serve.client().get("/v1/conversions").status_code == 200
    assert re.search(r"service=serve event=ready address=http://127.0.0.1:\d+ ", serve.serve.log())


def test_a_normal_start_warns_of_nothing_and_tells_of_no_polling(serve):
    time.sleep(0.5)  # the gateway asks for revocations every 200 ms here
    lines = serve.serve.log().splitlines()
    lines = [line for line in lines if "unknown environment variable" not in line]  # the tests' own
    log = "\n".join(lines)
    assert "level=warning" not in log and "level=error" not in log, log
    assert "path=/revocations" not in log and "jwks.json" not in log


def test_a_socket_file_is_named_as_what_it_is(served, tmp_path):
    served.start_serve({"gateway.listen": f"unix:{tmp_path}/gateway"})
    assert served.url == f"unix:{tmp_path}/gateway"


def test_one_operations_port_shows_all_four(serve):
    ready = requests.get(f"{serve.ops_url}/readyz")
    assert ready.status_code == 200 and ready.json()["ready"] is True
    assert set(ready.json()["services"]) == set(SERVICES)
    assert all(service["checks"] for service in ready.json()["services"].values())
    live = requests.get(f"{serve.ops_url}/livez")
    assert live.status_code == 200
    text = requests.get(f"{serve.ops_url}/metrics").text
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.search(r'[{,]service="\w+"', line) for line in samples), text
    shown = {re.search(r'service="(\w+)"', line).group(1) for line in samples}
    assert shown == {*SERVICES, "serve"}
    # One family is one block, or scrapers refuse the whole text.
    types = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(types) == len(set(types))


def test_without_accounts_it_says_how_to_make_one(tmp_path):
    with contextlib.closing(Served(tmp_path, accounts=())) as served:
        served.start_serve()
        line = re.search(r'event="there is no account yet.*command="([^"]*)"', served.serve.log())
        command = shlex.split(line.group(1))
        assert command[:3] == ["tapedeck", "user", "add"]
        made = subprocess.run(
            [str(RELEASE / "tapedeck"), *command[1:]],
            input="a good password\n", text=True, capture_output=True,
        )
        assert made.returncode == 0, made.stderr
        assert served.login((command[3], "a good password"))


def test_on_a_terminal_it_asks_for_the_first_account(tmp_path):
    here, there = pty.openpty()
    data = tmp_path / "data"
    process = subprocess.Popen(
        [str(RELEASE / "tapedeck"), "serve", "--set", f"data.dir={data}"]
        + ["--set", "gateway.listen=127.0.0.1:0", "--set", "ops.listen=127.0.0.1:0"],
        stdin=there, stdout=there, stderr=there, start_new_session=True,
    )
    os.close(there)
    shown = ""

    def read_until(text):
        nonlocal shown
        end = time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < end and process.poll() is None, shown
            if select.select([here], [], [], 0.1)[0]:
                shown += os.read(here, 65536).decode()
        before, _, shown = shown.partition(text)
        return before

    def answer(text):
        os.write(here, f"{text}\n".encode())

    try:
        assert "everything" not in read_until("Email: ")  # an account's rights are all the same
        answer("no email")
        read_until("Email: ")
        answer("me@example.org")
        read_until("Password for me@example.org: ")
        answer("a good password")
        read_until("again: ")
        answer("a good password")
        assert "a good password" not in read_until("event=ready address=")
        url = read_until(" ")
        assert requests.post(f"{url}/login", auth=("me@example.org", "a good password")).ok
    finally:
        process.terminate()
        process.wait(timeout=30)
        os.close(here)
    assert process.returncode == 0


def test_accounts_that_exist_are_not_asked_for(serve):
    assert "there is no account yet" not in serve.serve.log()


@pytest.mark.parametrize("option", ["gateway.listen", "ops.listen"])
def test_a_port_in_use_is_said_at_once(served, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        served.start_serve({option: address}, wait=False)
        assert served.serve.process.wait(timeout=60) == 1
        line = served.serve.log().splitlines()[-1]
        assert "event=ended" in line and option in line and address in line and "in use" in line
    assert not served.processes()


def test_a_gateways_key_that_is_none_is_said_at_once(served):
    (served.data / "gateway.key").write_text("short\n")
    for options, words in (
        ({}, "gateway.key: a line of 16 to 256 visible ASCII characters is expected"),
        ({"auth.gateway_key_file": "/no/such"}, "/no/such"),
    ):
        served.start_serve(options, wait=False)
        assert served.serve.process.wait(timeout=60) == 1
        assert "auth.gateway_key_file: " in served.serve.log()
        assert words in served.serve.log()


def test_without_its_worker_it_is_not_ready(served, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(RELEASE / "tapedeck", alone)
    served.start_serve(build=alone, wait=False)
    ops = "http://" + served.address_of(served.serve, "ops")

    def converter():
        services = requests.get(f"{ops}/readyz").json()["services"]
        return services["converter"] if "checks" in services["converter"] else None

    wait_for_line(served.serve, "not ready: what it needs cannot be used yet")
    checks = wait_for(converter, what="the converter's checks")["checks"]
    [worker] = [check for check in checks if check["name"] == "worker"]
    assert not worker["ok"] and "tapedeck-worker" in worker["reason"]
    time.sleep(1.5)
    assert requests.get(f"{ops}/readyz").status_code == 503
    assert "event=ready address" not in served.serve.log()
    shutil.copy(RELEASE / "tapedeck-worker", alone)
    served.wait_until_ready()
    assert requests.get(f"{ops}/readyz").status_code == 200


def test_a_service_that_cannot_start_ends_all(served):
    served.start_serve({"auth.keys_dir": "/proc/nowhere"}, wait=False)
    assert served.serve.process.wait(timeout=60) == 1
    assert "auth ended before all was ready" in served.serve.log()
    assert not served.processes()


def test_who_is_dying_holds_no_socket(served):
    """A killed service gives its lock back a moment before its sockets."""
    served.start_serve()
    served.serve.kill()
    wait_for(lambda: not served.processes(), what="the end of all services")
    paths = [*served.data.glob("run/*.ops"), served.data / "run" / "auth"]
    assert len(paths) == len(SERVICES) + 1
    with contextlib.ExitStack() as dying:
        for path in paths:
            path.unlink()
            listening = dying.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(path))
            listening.listen()
        served.start_serve()
        assert served.client().get("/v1/conversions").status_code == 200


def test_a_long_data_folder_has_its_sockets_elsewhere(tmp_path):
    folder = tmp_path / ("x" * 100)
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as name,  # short, wherever tmp_path is
        contextlib.closing(Served(folder)) as served,
    ):
        runtime = pathlib.Path(name)
        served.start_serve(environment={"XDG_RUNTIME_DIR": str(runtime)})
        [sockets] = runtime.iterdir()
        assert mode_of(sockets) == "0o700"
        assert served.client().get("/v1/conversions").status_code == 200
        assert served.serve.stop() == 0
        assert not list(runtime.iterdir())


# ---- Stopping ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_and_leaves_nothing(serve, number):
    before = descendants_of(serve.serve.process.pid)
    serve.serve.process.send_signal(number)
    assert serve.serve.process.wait(timeout=60) == 0
    log = serve.serve.log()
    assert ordered(log, "event=stopping reason=signal") == list(SERVICES)
    assert ordered(log, "event=stopped") == [*SERVICES, "serve"]
    assert "level=error" not in log
    assert not [pid for pid in before if is_alive(pid)]
    assert not list((serve.data / "run").iterdir())


def test_an_upload_that_runs_may_end(served):
    video = media.clip(5).read_bytes()
    served.start_serve({"stop.drain_max": "60s"})
    connection = open_upload(served, video, 1000)
    served.serve.process.send_signal(signal.SIGTERM)
    wait_for_line(served.serve, "service=gateway event=stopping")
    connection.sendall(video[1000:])
    assert connection.recv(4096).startswith(b"HTTP/1.1 202")
    assert served.serve.process.wait(timeout=60) == 0


def test_a_conversion_is_handed_back_and_goes_on_after_the_next_start(served):
    served.start_serve({"stop.drain_max": "4s"})
    conversion = served.client().upload(media.long_clip(60).read_bytes()).json()["id"]
    served.wait_for_state(conversion, "converting")
    begun = time.monotonic()
    assert served.serve.stop() == 0
    assert time.monotonic() - begun < 10
    assert served.record(conversion)["state"] in ("queued", "done")
    served.start_serve()
    assert served.wait_for_end(conversion, seconds=240)["state"] == "done"


def test_a_second_signal_ends_it_at_once(served):
    served.start_serve({"stop.drain_max": "60s"})
    connection = open_upload(served, bytes(1000), 1)
    before = descendants_of(served.serve.process.pid)
    served.serve.process.send_signal(signal.SIGTERM)
    wait_for_line(served.serve, "service=gateway event=stopping")
    assert served.serve.is_running()
    begun = time.monotonic()
    served.serve.process.send_signal(signal.SIGTERM)
    assert served.serve.process.wait(timeout=60) == 1
    wait_for(lambda: not any(map(is_alive, before)), what="the end of what it started")
    assert time.monotonic() - begun < 20  # of a minute
    connection.close()


def test_a_service_that_hangs_is_killed_in_time(served):
    served.start_serve({"stop.drain_max": "2s"})
    os.kill(served.service_pids()["converter"], signal.SIGSTOP)
    begun = time.monotonic()
    assert served.serve.stop() == 0
    assert time.monotonic() - begun < 10
    assert 'event="killed: it did not stop in time" child=converter' in served.serve.log()
    assert not served.processes()


# ---- Dying ----


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_service_is_started_again_and_all_goes_on(served, name):
    served.start_serve()
    url, before = served.url, served.service_pids()
    client = served.client()
    os.kill(before[name], signal.SIGKILL)
    wait_for(lambda: served.service_pids().get(name, before[name]) != before[name], what="its restart")
    wait_for(
        lambda: requests.get(f"{served.ops_url}/readyz").status_code == 200, what="readiness"
    )
    assert {k: v for k, v in served.service_pids().items() if k != name} == {
        k: v for k, v in before.items() if k != name
    }
    assert re.search(
        rf'event="a service ended by itself and is started again" child={name} '
        r'how="killed by signal 9 \(Killed\)"', served.serve.log()
    )
    metrics = requests.get(f"{served.ops_url}/metrics").text
    assert re.search(
        rf'tapedeck_service_restarts_total{{service="serve",child="{name}"}} 1', metrics
    )
    assert served.url == url
    assert served.login(ANNA)
    answer = client.upload(media.clip(5).read_bytes())
    assert answer.status_code == 202
    ended = served.wait_for_end(answer.json()["id"])
    assert ended["state"] == "done"
    wait_for(lambda: served.mails_about(ended["id"]), what="the email")


def test_a_service_that_keeps_dying_is_started_ever_more_slowly(served):
    served.start_serve()
    for count in range(1, 4):
        pid = wait_for(lambda: served.service_pids().get("notifier"), what="the notifier")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: f"failures={count} " in served.serve.log(), what=f"failure {count}")
    pauses = [int(found) for found in re.findall(r"failures=\d+ pause_ms=(\d+)", served.serve.log())]
    for pause, most in zip(pauses, (250, 500, 1000), strict=True):
        assert most / 2 - 5 <= pause <= most


@pytest.mark.parametrize("hangs", [False, True])
def test_nothing_outlives_a_killed_supervisor(served, hangs):
    served.start_serve()
    conversion = served.client().upload(media.long_clip(60).read_bytes()).json()["id"]
    served.wait_for_state(conversion, "converting")
    before = descendants_of(served.serve.process.pid)
    assert len(before) > len(SERVICES)  # a worker is among them
    if hangs:
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
    served.serve.kill()
    wait_for(lambda: not [pid for pid in before if is_alive(pid)], 30, "the end of all")
    served.start_serve()
    assert served.wait_for_end(conversion, seconds=240)["state"] == "done"


# ---- One data folder, one serve ----


def test_a_second_serve_waits_and_then_names_who_holds_the_folder(served):
    first = served.start_serve().serve
    held_by = {first.process.pid, *served.service_pids().values()}
    begun = time.monotonic()
    second = served.start_serve({"stop.drain_max": "1s"}, wait=False).serve
    assert second.process.wait(timeout=60) == 1
    assert 1 <= time.monotonic() - begun < 20
    named = re.search(r"processes ([\d, ]+)\)", second.log()).group(1)
    assert {int(pid) for pid in named.split(", ")} == held_by
    assert first.is_running()
    assert requests.get(f"{served.ops_url}/readyz").status_code == 200


def test_a_second_serve_goes_on_once_the_first_has_ended(served):
    first = served.start_serve().serve
    served.start_serve({"stop.drain_max": "60s"}, wait=False)
    wait_for_line(served.serve, "waiting for the services of another serve to end")
    assert first.stop() == 0
    served.wait_until_ready()


def test_a_serve_that_waits_can_be_told_to_stop(served):
    served.start_serve()
    waiting = served.start_serve({"stop.drain_max": "60s"}, wait=False).serve
    wait_for_line(waiting, "waiting for the services of another serve to end")
    begun = time.monotonic()
    assert waiting.stop() == 1
    assert time.monotonic() - begun < 15  # of a minute

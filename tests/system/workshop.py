"""A data folder with converter and notifier on it, without a gateway.

Uploads are put into the stores by tests/support/seed, which uses the same interfaces as the
services. Times are short, so that tests need not wait; the promises are checked on the stores.
"""

import collections
import contextlib
import email
import email.policy
import fcntl
import itertools
import json
import os
import pathlib
import random
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = pathlib.Path(os.environ.get("TAPEDECK_BUILD", ROOT / "build-release"))
FAULTS = pathlib.Path(os.environ.get("TAPEDECK_BUILD_FAULTS", ROOT / "build-faults"))

SHORT_TIMES = {
    "recovery.lease": "1500ms",
    "recovery.look_interval": "150ms",
    "recovery.grace": "300ms",
    "mail.timeout": "2s",
    "stop.drain_max": "5s",
}
# As the services know them, so that a record is due as soon as if a gateway had written it.
SEED_ENVIRONMENT = {
    f"TAPEDECK_{name.replace('.', '_').upper()}": value
    for name, value in SHORT_TIMES.items()
    if name.startswith(("recovery.", "mail."))
}


def wait_for(condition, seconds=60, what="the condition"):
    """Returns what the condition returned, once it is true. The time is one in which it comes true on
    a slow machine that does other things besides; a test that is about time says so itself."""
    end = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() > end
        result = condition()
        if result:
            return result
        assert not is_last, f"{what} did not come true within {seconds} s"
        time.sleep(0.05)


def free_port():
    """To listen on again after a restart: in turn with those that tests/support/servers chooses."""
    with open(f"/tmp/tapedeck-ports.{os.getuid()}", "a+", encoding="ascii") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        last, port = int(turn.read().strip() or random.randrange(11900)), None
        while port is None:
            last = (last + 1) % 11900
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", 20100 + last))
                port = 20100 + last
        turn.truncate(0)
        turn.write(f"{last}\n")
    return port


def cpu_seconds(pid):
    """What all threads of a process used so far; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # gone before, or while we read
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_states(pid):
    """As proc(5) calls them; none of a process that is gone."""
    try:
        stats = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {stat.rpartition(")")[2].split()[0] for stat in stats}


def is_asleep(pid):
    """All its threads wait for something other than a processor or a disk."""
    return thread_states(pid) == {"S"}


def is_stopped(pid):
    return thread_states(pid) == {"T"}


class Service:
    """One process of `tapedeck`."""

    def __init__(self, name, data, options, build, environment, log):
        self.name = name
        self.log_path = log
        arguments = [str(build / "tapedeck"), name, "--set", f"data.dir={data}"]
        if name != "auth":
            arguments += ["--set", "ops.listen=127.0.0.1:0"]
        for key, value in {**SHORT_TIMES, **options}.items():
            arguments += ["--set", f"{key}={value}"]
        with open(log, "ab") as stream:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, **environment},
            )

    def log(self):
        """As far as its lines are whole."""
        text = pathlib.Path(self.log_path).read_text(errors="replace")
        return text if self.process.poll() is not None else text[: text.rfind("\n") + 1]

    def ops_address(self):
        found = wait_for(
            lambda: re.search(r'event=listening.*?address="?(127\.0\.0\.1:\d+)', self.log()),
            what="the log line `listening`",
        )
        return found.group(1)

    def is_running(self):
        return self.process.poll() is None

    def worker_pids(self):
        """Its tapedeck-worker processes."""
        found = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
        ).stdout
        return [int(line.split()[0]) for line in found.splitlines() if "worker" in line]

    def wait_until_nothing_comes(self):
        """Until it was asleep ten times, or is gone: it did what it had to, however busy the machine."""
        times = 10
        while times > 0 and self.is_running():
            times -= is_asleep(self.process.pid)
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=60):
        """SIGTERM; returns the exit status."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)


class Workshop:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.services = []
        self.seed("migrate")

    def seed(self, *arguments, check=True):
        result = subprocess.run(
            [str(RELEASE / "tests" / "seed"), str(self.data), *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, **SEED_ENVIRONMENT},
        )
        assert not check or result.returncode == 0, result.stderr
        return result.stdout

    def upload(self, path, **wishes):
        return self.seed("upload", path, *(f"{k}={v}" for k, v in wishes.items())).strip()

    def start(self, name, options=None, build=None, environment=None):
        log = self.folder / f"{name}-{len(self.services)}.log"
        service = Service(
            name, self.data, options or {}, build or RELEASE, environment or {}, log
        )
        self.services.append(service)
        return service

    def freeze(self, service):
        """SIGSTOP; but not while it holds an embedded store, which nobody else could write to then."""
        while True:
            service.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: is_stopped(service.process.pid), what=f"that {service.name} is stopped")
            if all(map(self.can_be_written, ("records.db", "queue.db"))):
                return
            service.process.send_signal(signal.SIGCONT)
            time.sleep(0.05)

    def can_be_written(self, name):
        connection = sqlite3.connect(self.data / name, isolation_level=None, timeout=2)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True

    def close(self):
        for service in self.services:
            if service.is_running():
                service.process.kill()
                service.process.wait()

    def logs(self):
        return "\n".join(f"== {s.log_path}\n{s.log()}" for s in self.services)

    # What is in the stores.

    def records(self):
        found = (json.loads(line) for line in self.seed("records").splitlines())
        return {record["_id"] if "_id" in record else record["id"]: record for record in found}

    def record(self, conversion):
        return self.records().get(conversion)

    def blobs(self, kind):
        lines = self.seed("blobs").splitlines()
        return {line.split()[1] for line in lines if line.startswith(kind + " ")}

    def length(self, queue):
        return int(self.seed("length", queue))

    def dead(self, queue):
        return self.seed("dead", queue).splitlines()

    def wait_for_state(self, conversion, *states, seconds=120):
        try:
            return wait_for(
                lambda: (lambda r: r if r and r["state"] in states else None)(
                    self.record(conversion)
                ),
                seconds,
                f"state {states}",
            )
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {self.record(conversion)}\n{self.logs()}") from None

    def mail_files(self):
        folder = self.data / "mail"
        return sorted([*folder.glob("new/*"), *folder.glob("cur/*")])

    def mails(self):
        return [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in self.mail_files()
        ]

    def mails_about(self, conversion):
        return [mail for mail in self.mails() if conversion in mail["Message-ID"]]

    def mail_counts(self):
        """How many mails there are about each conversion, without reading all of each."""
        found = [
            re.search(rb"^Message-ID: <([0-9a-f]{24})\.", path.read_bytes(), re.MULTILINE)
            for path in self.mail_files()
        ]
        return collections.Counter(match.group(1).decode() for match in found)

    # The promises (docs/conversion.md).

    def is_reconciled(self):
        """Nothing is due but what waits for its time of retention."""
        now = time.time() * 1000
        return all(
            record["due_for"] == "clean" and milliseconds(record["due_at"]) > now + 30_000
            for record in self.records().values()
        )

    def check_promises(self, conversions, mails=True, seconds=120):
        """All are done, each with one MP3 and one mail; and nothing else is left."""
        try:
            for conversion in conversions:
                self.wait_for_state(conversion, "done", "failed", "cancelled", seconds=seconds)
            if mails:
                wait_for(self.is_reconciled, seconds, "that nothing is due")
            named = {self.record(c)["mp3"]["id"] for c in conversions}
            wait_for(lambda: self.blobs("mp3") == named, seconds, "that lost MP3s are removed")
            for conversion in conversions:
                assert self.record(conversion)["state"] == "done"
                if mails:
                    assert len(self.mails_about(conversion)) == 1
            assert len(named) == len(conversions)
            assert self.blobs("video") == set(conversions)
            assert set(self.records()) == set(conversions)
        except AssertionError as failure:
            raise AssertionError(
                f"{failure}\n{json.dumps(self.records(), indent=1)}\n"
                f"{self.seed('blobs')}\n{self.logs()}"
            ) from None


def milliseconds(value):
    """A stored time: a number, or {"$date": …}."""
    return value["$date"] if isinstance(value, dict) else value


def fault_points(path):
    """The names that a process wrote to TAPEDECK_FAULT_TRACE."""
    return path.read_text().split() if path.exists() else []


def kill_after_each_step(run, steps_max=60, at_once=6):
    """run(n, environment) has a process die after its n-th durable step, checks what must hold
    then, and returns whether it died. Goes on until there is no such step; returns the names of all
    steps. Most of the time is waiting, so that several go at once."""
    names = set()
    numbers = itertools.count(1)
    over = threading.Event()

    def run_one(n):
        trace = pathlib.Path(tempfile.mkstemp(prefix="tapedeck-trace-")[1])
        environment = {"TAPEDECK_FAULT_KILL_AT": str(n), "TAPEDECK_FAULT_TRACE": str(trace)}
        try:
            was_killed = run(n, environment)
            names.update(fault_points(trace))
        finally:
            trace.unlink()
        return was_killed

    def run_all():
        try:
            while not over.is_set():
                n = next(numbers)
                assert n <= steps_max, f"there are more steps than {steps_max}: {names}"
                if not run_one(n):
                    break
        finally:
            over.set()

    with ThreadPoolExecutor(at_once) as pool:
        for run_of_thread in [pool.submit(run_all) for _ in range(at_once)]:
            run_of_thread.result()
    return names

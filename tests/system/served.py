"""`tapedeck serve` on a data folder of its own, with accounts: the whole system."""

import os
import pathlib
import re
import signal
import subprocess

from deck import ACCOUNTS, ANNA, GATEWAY_OPTIONS, Client, Deck
from workshop import wait_for

SERVICES = ("gateway", "converter", "notifier", "auth")


class Served(Deck):
    """After start_serve(): url, ops_url, data, account and token are what they say."""

    account = ANNA

    def __init__(self, folder, accounts=ACCOUNTS):
        super().__init__(folder, accounts)
        self.serve = self.ops_url = None
        self._token = None

    def start_serve(self, options=None, environment=None, build=None, wait=True):
        """Options by their names: start_serve({"retention.mp3": "1h"})."""
        self.serve = self.start(
            "serve",
            {"gateway.listen": "127.0.0.1:0", **GATEWAY_OPTIONS, **(options or {})},
            environment=environment,
            build=build,
        )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds=60):
        wait_for(
            lambda: "event=ready" in self.serve.log() or not self.serve.is_running(),
            seconds,
            "the log line `ready`",
        )
        assert self.serve.is_running(), self.serve.log()
        found = re.search(r"event=ready address=(\S+) ops=(\S+)", self.serve.log())
        self.url = found.group(1)
        self.ops_url = "http://" + found.group(2)

    @property
    def base_url(self):
        return self.url

    @property
    def token(self):
        if self._token is None:
            self._token = self.login(self.account)
        return self._token

    def wait_for_end(self, conversion, seconds=120):
        """The conversion as its owner sees it, once it is done, failed or cancelled."""

        def ended():
            answer = Client(self.url, self.token).get(f"/v1/conversions/{conversion}")
            assert answer.status_code == 200, answer.text
            return answer.json() if answer.json()["state"] in ENDS else None

        return wait_for(ended, seconds, "the end of the conversion")

    def service_pids(self):
        """The processes of the services by their names, as far as they run."""
        commands = {pid: command_of(pid) for pid in children_of(self.serve.process.pid)}
        found = {command[1]: pid for pid, command in commands.items() if len(command) > 1}
        return {name: pid for name, pid in found.items() if name in SERVICES}

    def processes(self):
        """Whatever was started with this data folder and still runs."""
        marker = f"data.dir={self.data}"
        return [pid for pid in all_pids() if marker in command_of(pid) and is_alive(pid)]

    def close(self):
        super().close()
        try:
            wait_for(lambda: not self.processes(), what="the end of all processes")
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)


ENDS = ("done", "failed", "cancelled")


def all_pids():
    return [int(path.name) for path in pathlib.Path("/proc").glob("[0-9]*")]


def command_of(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return []
    return text.split("\0")[:-1]


def is_alive(pid):
    """Neither gone nor a zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children_of(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [child for child in map(int, found.stdout.split()) if is_alive(child)]


def descendants_of(pid):
    children = children_of(pid)
    return children + [below for child in children for below in descendants_of(child)]

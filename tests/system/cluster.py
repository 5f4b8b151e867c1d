"""A cluster of a test's own, as scripts/cluster starts it: two gateways, auth, two converters and two
notifiers, on servers of their own."""

import email
import email.policy
import os
import pathlib
import re
import signal
import subprocess

from deck import Client
from served import ENDS, all_pids, children_of, command_of, is_alive
from workshop import RELEASE, ROOT, SHORT_TIMES, wait_for

SCRIPT = ROOT / "scripts" / "cluster"
SERVERS = ROOT / "tests" / "support" / "servers"
SERVICES = (
    "auth", "converter-1", "converter-2", "notifier-1", "notifier-2", "gateway-1", "gateway-2"
)
OPTIONS = {**SHORT_TIMES, "gateway.auth_interval": "200ms"}


class Cluster:
    def __init__(self, folder, options=None, environment=None):
        self.folder = pathlib.Path(folder)
        options = {**OPTIONS, **(options or {})}
        self.environment = {
            **os.environ,
            "CLUSTER_DIR": str(self.folder),
            "CLUSTER_PREPARED": "1",
            "TAPEDECK_BUILD": str(RELEASE),
            "SERVERS_OWNER": str(os.getpid()),
            **{f"TAPEDECK_{k.replace('.', '_').upper()}": v for k, v in options.items()},
            **(environment or {}),
        }

    def run(self, *arguments):
        return subprocess.run(
            [SCRIPT, *arguments], env=self.environment, capture_output=True, text=True, timeout=400
        )

    def up(self):
        result = self.run("up")
        assert result.returncode == 0, result.stdout + result.stderr + self.logs()
        self.gateways = re.search(r"^Gateways: +(\S+) (\S+)$", result.stdout, re.MULTILINE).groups()
        words = (self.folder / "login").read_text().split()
        self.account = (words[2], words[4])
        return self

    def down(self):
        result = self.run("down")
        assert result.returncode == 0, result.stderr

    def logs(self):
        return "\n".join(
            f"== {path}\n{path.read_text(errors='replace')[-5000:]}"
            for path in sorted(self.folder.glob("*/log"))
        )

    def processes(self):
        """Whatever of it runs."""
        return [
            pid
            for pid in all_pids()
            if any(str(self.folder) in word for word in command_of(pid)) and is_alive(pid)
        ]

    # Services and servers.

    def pid(self, service):
        return int((self.folder / service / "pid").read_text())

    def pids(self):
        return {service: self.pid(service) for service in SERVICES if is_alive(self.pid(service))}

    def stop(self, service):
        """In order, and for good."""
        pid = self.pid(service)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not is_alive(pid), what=f"the end of {service}")

    def kill(self, service):
        pid = self.pid(service)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pid), what=f"the end of {service}")

    def busy_converters(self):
        """Those with a worker that is past its start; each worker converts once."""
        found = {name: children_of(self.pid(name)) for name in ("converter-1", "converter-2")}
        return [name for name, pids in found.items() if any(map(has_worked, pids))]

    def address(self, name):
        lines = (self.folder / "addresses").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)[name]

    def kill_server(self, name):
        subprocess.run([SERVERS / name, "kill", self.folder / "servers" / name], check=True)

    def start_server(self, name):
        """Again, and that one alone."""
        subprocess.run(
            [SERVERS / name, "start", self.folder / "servers" / name],
            env={
                **self.environment,
                "SERVERS_PASSWORD": (self.folder / "password").read_text(),
                "TLS_DIR": str(self.folder / "servers" / "tls"),
            },
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def server_pid(self, name):
        return int((self.folder / "servers" / name / "pid").read_text())

    def signal_server(self, name, number):
        os.kill(self.server_pid(name), number)

    # As its users see it.

    def client(self, gateway=0):
        url = self.gateways[gateway]
        answer = Client(url, "").post("/login", auth=self.account)
        assert answer.status_code == 200, answer.text
        return Client(url, answer.text)

    def wait_for_end(self, client, conversion, seconds=120):
        def ended():
            answer = client.get(f"/v1/conversions/{conversion}")
            return answer.status_code == 200 and answer.json()["state"] in ENDS and answer.json()

        try:
            return wait_for(ended, seconds, "the end of the conversion")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.logs()}") from None

    def mail_files(self):
        folder = self.folder / "servers" / "smtp" / "mail" / self.account[0] / "new"
        return list(folder.glob("*"))

    def mails_about(self, conversion):
        found = [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in self.mail_files()
        ]
        return [mail for mail in found if conversion in mail["Message-ID"]]

    def wait_for_mail(self, conversion, seconds=90):
        try:
            [mail] = wait_for(lambda: self.mails_about(conversion), seconds, "the mail")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.logs()}") from None
        return mail


def has_worked(pid):
    """Half a second at least."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) > 50

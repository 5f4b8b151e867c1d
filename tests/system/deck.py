"""Auth and gateway as two processes on the embedded stores of a temporary folder."""

import re
import socket
import subprocess

import requests

from workshop import RELEASE, Workshop, wait_for

ANNA = ("anna@example.org", "correct horse")
BEN = ("ben@example.org", "battery staple")
ACCOUNTS = (ANNA, BEN)  # that are made where nothing else is said
GATEWAY_OPTIONS = {"limits.disk_free_min": "0", "gateway.auth_interval": "200ms"}


class Deck(Workshop):
    def __init__(self, folder, accounts=ACCOUNTS):
        super().__init__(folder)
        for email, password in accounts:
            self.user("add", email, password=password)
        self.auth = self.gateway = None
        self.auth_url = self.url = None

    def command(self, *arguments, text=""):
        return subprocess.run(
            [str(RELEASE / "tapedeck"), *arguments, "--set", f"data.dir={self.data}"],
            input=text,
            capture_output=True,
            text=True,
        )

    def user(self, action, email, password=None):
        result = self.command("user", action, email, text=f"{password}\n" if password else "")
        assert result.returncode == 0, result.stderr

    def address_of(self, service, port):
        found = wait_for(
            lambda: re.search(rf'event=listening port={port} address="?([^\s"]+)', service.log())
            or not service.is_running(),
            what=f"the log line `listening` of {port}",
        )
        assert found is not True, service.log()
        return found.group(1)

    def start_auth(self, options=None, listen="127.0.0.1:0"):
        self.auth = self.start(
            "auth", {"ops.listen": "127.0.0.1:0", "auth.listen": listen, **(options or {})}
        )
        self.auth_url = "http://" + self.address_of(self.auth, "auth")
        return self.auth

    def start_gateway(self, options=None, environment=None, build=None):
        self.gateway = self.start(
            "gateway",
            {
                "gateway.listen": "127.0.0.1:0",
                "gateway.auth_url": self.auth_url or "http://127.0.0.1:1",
                **GATEWAY_OPTIONS,
                **(options or {}),
            },
            environment=environment,
            build=build,
        )
        self.url = "http://" + self.address_of(self.gateway, "gateway")
        return self.gateway

    def start_both(self, **options):
        self.start_auth()
        self.start_gateway(options)
        return self

    def login(self, account=ANNA):
        answer = requests.post(f"{self.url}/login", auth=account)
        assert answer.status_code == 200, answer.text
        return answer.text

    def client(self, account=ANNA):
        return Client(self.url, self.login(account))

    def connect(self):
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=60)

    def metric(self, service, name):
        """The sum of the series of that name."""
        text = requests.get(f"http://{self.address_of(service, 'ops')}/metrics").text
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in values)


class Client(requests.Session):
    """A logged-in user."""

    def __init__(self, url, token):
        super().__init__()
        self.url = url
        self.token = token
        self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method, path, **arguments):
        return super().request(method, self.url + path, **arguments)

    def upload(self, content=b"not a video", query="", **arguments):
        return self.post(f"/v1/conversions{query}", data=content, **arguments)


def code(answer):
    """The problem's code; checks that it is one."""
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return problem["code"]


def expect(answer, status, expected_code):
    assert (answer.status_code, code(answer)) == (status, expected_code), answer.text
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) > 0
    if status == 401:
        assert "WWW-Authenticate" in answer.headers

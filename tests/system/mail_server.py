"""Mail servers of the tests' own: a good one (tests/support/servers/smtp), and one that lies."""

import email
import email.policy
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading

from workshop import ROOT

SCRIPT = ROOT / "tests" / "support" / "servers" / "smtp"


class MailServer:
    """After start(): urls by their names (SMTP_TLS_URL is urls["tls"])."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.urls = {}
        self.ca_file = None

    def run(self, verb):
        result = subprocess.run(
            [SCRIPT, verb, self.folder],
            env={**os.environ, "SERVERS_OWNER": str(os.getpid())},
            capture_output=True, text=True, timeout=200,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return dict(line.split("=", 1) for line in result.stdout.splitlines())

    def start(self):
        told = self.run("start")
        self.ca_file = told["TEST_CA_FILE"]
        self.urls = {
            name.removeprefix("SMTP_").removesuffix("_URL").lower().replace("_", "-"): url
            for name, url in told.items()
            if name.startswith("SMTP_")
        }
        self.urls["submission"] = told["TEST_SMTP_URL"]
        return self

    def kill(self):
        self.run("kill")

    def close(self):
        self.run("stop")

    def freeze(self):
        os.kill(self.pid(), signal.SIGSTOP)

    def thaw(self):
        os.kill(self.pid(), signal.SIGCONT)

    def pid(self):
        return int((self.folder / "pid").read_text())

    def options(self, name="submission", **others):
        """Of tapedeck, to send through it."""
        return {
            "stores.mail": "smtp",
            "smtp.uri": self.urls[name],
            "smtp.ca_file": self.ca_file,
            **{f"smtp.{key}": value for key, value in others.items()},
        }

    def mails(self, address):
        """In the order in which they came."""
        files = sorted((self.folder / "mail" / address / "new").glob("*"))
        return [
            email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            for file in files
        ]

    def taken_at(self, address):
        """When its only mail came."""
        [file] = (self.folder / "mail" / address / "new").iterdir()
        return float(file.name.rsplit(".", 2)[0])

    def last_fault_at(self):
        return (self.folder / "faults").stat().st_mtime

    def envelopes(self, address):
        file = self.folder / "envelopes"
        lines = file.read_text().splitlines() if file.exists() else []
        return [told for told in map(json.loads, lines) if told["to"] == address]


class Liar:
    """Answers commands by their first word as it is told, all others with 250; listens at once.
    An answer is text, or a function that writes to the connection. Without TLS."""

    def __init__(self, greeting="220 liar", **answers):
        self.answers = {"greeting": greeting, "DATA": "354 go on", "QUIT": "221 bye", **answers}
        self.heard = []
        self.connections = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://localhost:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _answer(self, connection, word):
        answer = self.answers.get(word, "250 fine")
        if callable(answer):
            answer(connection)
        else:
            data = answer if isinstance(answer, bytes) else answer.encode()
            connection.sendall(data + b"\r\n")

    def _talk(self, connection):
        try:
            with connection, connection.makefile("rb") as lines:
                self._answer(connection, "greeting")
                is_message = False
                for line in lines:
                    self.heard.append(line)
                    if is_message and line != b".\r\n":
                        continue
                    word = "." if is_message else line.split()[0].decode().upper()
                    is_message = word == "DATA" and self.answers["DATA"] == "354 go on"
                    self._answer(connection, word)
        except OSError:
            pass

    def options(self):
        return {"stores.mail": "smtp", "smtp.uri": self.url}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is over

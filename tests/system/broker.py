"""A RabbitMQ broker of the tests' own, and what they do to it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.parse

import pika
import requests

from workshop import RELEASE, ROOT, wait_for

SCRIPT = ROOT / "tests" / "support" / "servers" / "rabbitmq"
LOGIN = "tapedeck:tapedeck"


class Broker:
    def __init__(self, folder, configuration=(), certificates=None):
        self.folder = pathlib.Path(folder) / "broker"
        self.environment = {
            **os.environ,
            "SERVERS_OWNER": str(os.getpid()),
            "RABBITMQ_CONF": "\n".join(configuration),
        }
        if certificates is not None:
            self.environment["TLS_DIR"] = str(certificates)
        self.addresses = {}

    def run(self, verb, *arguments):
        result = subprocess.run(
            [SCRIPT, verb, self.folder, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def start(self):
        self.addresses = dict(line.split("=", 1) for line in self.run("start").splitlines())
        return self

    def stop(self):
        self.run("stop")

    def kill(self):
        self.run("kill")

    def port(self, variable):
        return urllib.parse.urlsplit(self.addresses[variable]).port

    def evaluate(self, erlang):
        self.run("ctl", "eval", erlang)

    @contextlib.contextmanager
    def frozen(self):
        pid = int((self.folder / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def api(self, method, path, **arguments):
        answer = requests.request(
            method,
            f"{self.addresses['RABBITMQ_MANAGEMENT_URL']}/api/{path}",
            auth=tuple(LOGIN.split(":")),
            **arguments,
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def log(self):
        return "".join(path.read_text() for path in (self.folder / "logs").glob("*.log"))


class Host:
    """A virtual host of one test, and an AMQP client of somebody else's on it."""

    def __init__(self, broker, name):
        self.broker = broker
        self.name = name
        self.handles = []
        broker.api("PUT", f"vhosts/{name}")
        broker.api(
            "PUT",
            f"permissions/{name}/tapedeck",
            json={"configure": ".*", "write": ".*", "read": ".*"},
        )
        self.connect()

    def connect(self):
        """Anew, after the broker was restarted."""
        parameters = pika.ConnectionParameters(
            "127.0.0.1",
            self.broker.port("RABBITMQ_PLAIN_URI"),
            self.name,
            pika.PlainCredentials(*LOGIN.split(":")),
            heartbeat=0,
        )
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def uri(self, login=LOGIN):
        return f"amqp://{login}@localhost:{self.broker.port('RABBITMQ_PLAIN_URI')}/{self.name}"

    def options(self):
        return {"stores.queue": "rabbitmq", "rabbitmq.uri": self.uri()}

    def command(self, *arguments, **options):
        settings = {**self.options(), **options}
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return subprocess.run(
            [RELEASE / "tapedeck", *arguments, *sets], capture_output=True, text=True, timeout=120
        )

    def migrate(self, data, **options):
        result = self.command("migrate", **{"data.dir": data, **options})
        assert result.returncode == 0, result.stderr
        return result

    def handle(self, queue="video", **options):
        handle = Handle(queue, {**self.options(), **options})
        self.handles.append(handle)
        return handle

    def put(self, queue, body, **properties):
        self.channel.basic_publish(
            "", queue, body, pika.BasicProperties(delivery_mode=2, **properties)
        )

    def put_original(self, queue, **body):
        """As Python's json.dumps writes it, and with nothing else said."""
        self.put(queue, json.dumps(body).encode())

    def get(self, queue, seconds=60):
        """(properties, body) of one message, acked."""
        found = wait_for(
            lambda: (lambda got: got if got[0] else None)(
                self.channel.basic_get(queue, auto_ack=True)
            ),
            seconds,
            f"a message in {queue}",
        )
        return found[1], found[2]

    def length(self, queue):
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def clients(self):
        """Our connections: {address: name}."""
        listed = self.broker.run(
            "ctl", "--formatter", "json", "list_connections", "name", "vhost", "client_properties"
        )
        return {
            found["name"]: {entry[0]: entry[-1] for entry in found["client_properties"]}[
                "connection_name"
            ]
            for found in json.loads(listed[listed.index("[") :])
            if found["vhost"] == self.name and "Tapedeck" in str(found["client_properties"])
        }

    def close(self):
        for handle in self.handles:
            handle.close()
        with contextlib.suppress(pika.exceptions.AMQPError):
            self.connection.close()
        self.broker.api("DELETE", f"vhosts/{urllib.parse.quote(self.name, safe='')}")


class Handle:
    """One handle of a queue in a process of its own: tests/support/messages.c."""

    def __init__(self, queue, options):
        settings = [f"{key}={value}" for key, value in options.items()]
        self.process = subprocess.Popen(
            [RELEASE / "tests" / "messages", queue, *settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def do(self, line):
        self.begin(line)
        return self.end()

    def must(self, line):
        answer = self.do(line)
        assert answer["ok"], answer
        return answer

    def hold(self, seconds):
        """As a consumer does with a message while the records are down."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.do("check")
            time.sleep(0.5)

    def close(self):
        """Returns what it logged."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=60)
            assert self.process.returncode == 0, self.process.stderr.read()
        return self.process.stderr.read() if not self.process.stderr.closed else ""

"""Where the same uploads are converted: `tapedeck serve` on its own stores, and a cluster on servers.

Both answer the same questions; options are as in production. One converter does `JOBS` at a time.
"""

import contextlib
import datetime
import os
import re
import shutil
import signal
import tempfile

from bench import FAST_MONGODB, ORDINARY, ROOT

import pymongo
from cluster import SERVICES, Cluster
from served import Served, is_alive
from workshop import wait_for

JOBS = 2
OPTIONS = {
    **ORDINARY,
    "converter.jobs": str(JOBS),
    "gateway.auth_interval": "10s",
    "stop.drain_max": "25s",
}
DONE = re.compile(
    r'^time=(\S+) .*event="conversion done" conversion=(\w+) .*\bseconds=(\S+) ', re.MULTILINE
)
STORED = re.compile(r'^time=(\S+) .*event="upload stored" conversion=(\w+) ', re.MULTILINE)


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


class Place:
    """Of a child: converter_pid(), gateway_log(), converter_log(), mail_count()."""

    def freeze(self):
        """What is uploaded from now on is stored and queued, and no more."""
        os.kill(self.converter_pid(), signal.SIGSTOP)

    def thaw(self):
        os.kill(self.converter_pid(), signal.SIGCONT)

    def stored(self):
        """When the upload of each conversion was accepted."""
        return {id: seconds(at) for at, id in STORED.findall(self.gateway_log())}

    def done(self):
        """When the work on each conversion began, right after its claim, and ended."""
        found = DONE.findall(self.converter_log())
        return {id: (seconds(at) - float(took), seconds(at)) for at, id, took in found}

    def upload(self, content):
        answer = self.anna.upload(content, "?name=clip.mp4")
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def wait_for_mails(self, count, patience_s):
        wait_for(lambda: self.mail_count() >= count, patience_s, f"mail about {count} conversions")


class Embedded(Place):
    name = "embedded"
    servers = {}

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="tapedeck-bench-", dir=ROOT)
        self.served = Served(self.temporary.name).start_serve(OPTIONS)
        self.services = {"serve": self.served.serve.process.pid}
        self.anna = self.served.client()
        return self

    def __exit__(self, *_):
        self.served.close()
        self.temporary.cleanup()

    def converter_pid(self):
        return self.served.service_pids()["converter"]

    def gateway_log(self):
        return self.served.serve.log()

    converter_log = gateway_log

    def mail_count(self):
        return len(self.served.mail_files())


class Apart(Place):
    """One of each service, as a process of its own."""

    name = "cluster"

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="tapedeck-bench-", dir=ROOT)
        self.cluster = Cluster(self.folder, OPTIONS, FAST_MONGODB)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        self.cluster.up()
        for name in ("gateway-2", "converter-2", "notifier-2"):
            self.cluster.stop(name)
        self.services = {
            name.removesuffix("-1"): self.cluster.pid(name)
            for name in SERVICES
            if is_alive(self.cluster.pid(name))
        }
        # A mongod that was named is another's process.
        self.servers = {
            name: self.cluster.server_pid(name)
            for name in ("mongodb", "rabbitmq", "mariadb", "smtp")
            if name != "mongodb" or "TEST_MONGODB_URI" not in os.environ
        }
        self.anna = self.cluster.client()

    def __exit__(self, *_):
        self.cluster.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def converter_pid(self):
        return self.services["converter"]

    def log(self, service):
        return (self.cluster.folder / f"{service}-1" / "log").read_text(errors="replace")

    def gateway_log(self):
        return self.log("gateway")

    def converter_log(self):
        return self.log("converter")

    def mail_count(self):
        return len(self.cluster.mail_files())

    @contextlib.contextmanager
    def mongodb(self):
        client = pymongo.MongoClient(
            self.cluster.address("TEST_MONGODB_URI"), tlsCAFile=self.cluster.address("TEST_CA_FILE")
        )
        with client:
            yield client

"""A server of MongoDB's protocol of a test's own (tests/support/servers/mongodb)."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from workshop import ROOT


class MongoDb:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tapedeck-mongodb-"))
        self.uri = self.ca_file = None
        self.start()

    def run(self, verb):
        environment = {**os.environ, "SERVERS_OWNER": str(os.getpid())}
        environment.pop("TEST_MONGODB_URI", None)
        made = subprocess.run(
            [ROOT / "tests" / "support" / "servers" / "mongodb", verb, self.folder],
            capture_output=True, text=True, env=environment,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        return dict(line.split("=", 1) for line in made.stdout.splitlines())

    def start(self):
        """Again: on the same port, with what it had."""
        addresses = self.run("start")
        self.uri, self.ca_file = addresses["TEST_MONGODB_URI"], addresses["TEST_CA_FILE"]

    def kill(self):
        self.run("kill")

    def signal(self, number):
        os.kill(int((self.folder / "pid").read_text()), number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def stop(self):
        self.run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

"""What starts a service again a second after it died, as Kubernetes would."""

import os
import pathlib
import signal
import subprocess
import threading
import time

from cluster import SERVICES
from served import command_of, is_alive
from workshop import wait_for

RESTART_S = 1


class Keeper:
    """Of the services of a cluster that is up."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.commands = {name: command_of(cluster.pid(name)) for name in SERVICES}
        self.deaths = dict.fromkeys(SERVICES, 0)
        self.started = []
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self.keep, args=(name,), daemon=True) for name in SERVICES
        ]
        for thread in self.threads:
            thread.start()

    def keep(self, name):
        while not self.is_over.wait(0.02):
            if not is_alive(self.cluster.pid(name)):
                self.deaths[name] += 1
                if not self.is_over.wait(RESTART_S):
                    self.start(name)

    def start(self, name):
        folder = self.cluster.folder / name
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen(
                self.commands[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.cluster.environment,
                start_new_session=True,
            )
        self.started.append(process)
        # As scripts/cluster does, which is to find and to end it.
        began = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        (folder / "pid.began").write_text(began)
        (folder / "pid.new").write_text(str(process.pid))
        (folder / "pid.new").rename(folder / "pid")

    def kill(self, name):
        """False where it does not run just now. It is dead afterwards, and not to be killed again."""
        pid = self.cluster.pid(name)
        if not is_alive(pid):
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        wait_for(lambda: not is_alive(pid), what=f"the end of {name}")
        return True

    def close(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        for process in self.started:
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 20
        for process in self.started:
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

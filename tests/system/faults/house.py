"""A cluster for one run, and what must hold once it is over."""

import collections
import contextlib
import re
import shutil
import subprocess
import time

import pymongo
import requests

from cluster import SERVERS, SERVICES, Cluster
from faults.keeper import Keeper
from faults.stores import Stores
from faults.uploads import Uploads
from served import children_of
from workshop import ROOT

# A plain upload whose gateway vanished is due for the cleaner ten leases later.
TIMES = {
    "recovery.lease": "2s",
    "recovery.look_interval": "500ms",
    "recovery.grace": "1s",
    "mail.timeout": "4s",
    "mongodb.timeout": "2s",
    "mysql.timeout": "2s",
    "stop.drain_max": "5s",
}
LIMITS = {
    "limits.conversions_per_user_per_day": "0",
    "limits.uploads_per_user": "1000",
    "retention.video": "1d",
}
SETTLED_S = 180


class House:
    def __init__(self, folder, environment=None, options=None):
        self.cluster = Cluster(folder, {**TIMES, **LIMITS, **(options or {})}, environment)
        self.smtp = self.cluster.folder / "servers" / "smtp"
        self.keeper = self.stores = self.uploads = None

    def __enter__(self):
        try:
            self.cluster.up()
            self.keeper = Keeper(self.cluster)
            self.stores = Stores(self.cluster)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.keeper:
            self.keeper.close()
        if self.stores:
            self.stores.close()
        self.cluster.down()
        assert not self.cluster.processes()

    def upload(self, count, seconds, seed):
        self.uploads = Uploads(self.cluster, count, seconds, seed)
        return self.uploads

    def fault_mails(self, fault):
        """What is done to all mails from now on, in the words of tests/support/servers/smtp."""
        file = self.smtp / "fault"
        if fault is None:
            file.unlink()
            return
        file.with_suffix(".new").write_text(fault)
        file.with_suffix(".new").rename(file)

    def faulted_mails(self):
        """How often what was done."""
        lines = self.smtp / "faults"
        return collections.Counter(lines.read_text().split() if lines.exists() else ())

    def rabbitmqctl(self, *words):
        subprocess.run(
            [SERVERS / "rabbitmq", "ctl", self.cluster.folder / "servers" / "rabbitmq", *words],
            env={**self.cluster.environment, "TLS_DIR": "unused"},
            check=True,
            capture_output=True,
        )

    def broker_log(self):
        folder = self.cluster.folder / "servers" / "rabbitmq" / "logs"
        return "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))

    def workers(self):
        """Those of both converters."""
        converters = [self.cluster.pid(f"converter-{i}") for i in (1, 2)]
        return [pid for converter in converters for pid in children_of(converter)]

    def ask_if_ready(self):
        """All services, as Kubernetes would."""
        for name in SERVICES:
            ports = (self.cluster.folder / name / "ports").read_text()
            port = re.search(r"^OPS_PORT=(\d+)$", ports, re.MULTILINE)[1]
            answer = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10)
            assert answer.status_code == 200, (name, answer.text)

    def logged(self, pattern):
        """Lines of the services, all that ran."""
        return [
            f"{name}: {line}"
            for name in SERVICES
            for line in (self.cluster.folder / name / "log").read_text(errors="replace").splitlines()
            if re.search(pattern, line)
        ]

    def errors(self):
        """What was logged as an error, or by a sanitizer: of what is told here nothing is one."""
        return self.logged(r"level=error|Sanitizer|runtime error:")

    def keep_logs(self, name):
        """Of a run that failed: the folder is removed."""
        kept = ROOT / "build-faults-logs" / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for path in self.cluster.folder.glob("*/log"):
            shutil.copy(path, kept / f"{path.parent.name}.log")
        for path in self.cluster.folder.glob("servers/*/log"):
            shutil.copy(path, kept / f"{path.parent.name}.log")
        (kept / "rabbitmq.log").write_text(self.broker_log())
        (kept / "uploads.log").write_text(
            "\n".join(f"{at:.3f} {text}" for at, text in self.uploads.failures)
        )
        with contextlib.suppress(pymongo.errors.PyMongoError):
            (kept / "records").write_text(
                "\n".join(map(str, self.stores.all_records().values()))
            )

    def check(self, may_repeat_mails=False):
        """Everything that was accepted is done; what was not has left nothing. A row of the table."""
        uploads, stores = self.uploads, self.stores
        uploads.wait()
        begin = time.monotonic()
        stores.wait_until_settled(SETTLED_S)
        records = stores.all_records()
        assert {r["state"] for r in records.values()} <= {"done"}, [
            r for r in records.values() if r["state"] != "done"
        ]
        assert len(uploads.accepted) == uploads.count, uploads.failures[-5:]
        assert len(uploads.accepted) == len(set(uploads.accepted))
        assert set(uploads.accepted) <= set(records)
        mp3s = {str(record["mp3"]["id"]) for record in records.values()}
        assert len(mp3s) == len(records)
        orphans = stores.orphans("videos", set(records)) + stores.orphans("mp3s", mp3s)
        assert not orphans, orphans
        # All are made from the same clip.
        sounds = {stores.read("mp3s", record["mp3"]["id"]) for record in records.values()}
        assert len(sounds) == 1
        assert {len(sound) for sound in sounds} == {r["mp3"]["size"] for r in records.values()}
        counts, names = stores.mails()
        assert set(counts) == set(records)
        assert all(len(found) == 1 for found in names.values()), names
        if not may_repeat_mails:
            assert set(counts.values()) <= {1}, [id for id, count in counts.items() if count > 1]
        for queue in ("video.dead", "mp3.dead"):
            assert stores.length(queue) == 0, queue
        assert not self.errors(), self.errors()
        return {
            "tries": uploads.tries,
            "refused": uploads.refused,
            "cut": uploads.cut,
            "accepted": len(uploads.accepted),
            "done": len(set(uploads.accepted) & set(records)),
            "done besides": len(set(records) - set(uploads.accepted)),
            "taken over": sum(record["lost"] for record in records.values()),
            "handed back": sum(r["claim"] - 1 - r["lost"] for r in records.values()),
            "mp3s": len(mp3s),
            "mail tries": sum(record["notice"]["attempts"] for record in records.values()),
            "mails": len(counts),
            "repeats": sum(counts.values()) - len(counts),
            "orphans": len(orphans),
            "restarts": sum(self.keeper.deaths.values()),
            "settled after": f"{time.monotonic() - begin:.1f} s",
        }

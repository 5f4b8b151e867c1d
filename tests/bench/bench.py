"""What the benchmarks share: the services on a temporary folder, tables, medians, memory."""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from deck import Deck  # noqa: E402

# As in production: the tests' short times would be measured along.
ORDINARY = {
    "recovery.lease": "30s",
    "recovery.look_interval": "10s",
    "recovery.grace": "1h",
    "mail.timeout": "60s",
    "limits.uploads_per_user": "1000",
    "limits.conversions_per_user_per_day": "1000000",
}

# The stand-in for MongoDB with room for all that is stored, and compiled well enough to encrypt by the
# processor's own instructions, as a mongod does by itself. Else it is what limits every client alike.
FAST_MONGODB = {
    "MONGODB_HEAP": "4g",
    "MONGODB_CACHE": "2500",
    "MONGODB_JAVA": "-XX:TieredStopAtLevel=4",
}


class System(Deck):
    """The services as processes of their own, started and logged in to."""

    def __init__(self, converts=True):
        self.converts = converts
        self.temporary = tempfile.TemporaryDirectory(prefix="tapedeck-bench-", dir=ROOT)
        super().__init__(self.temporary.name)

    def __enter__(self):
        self.start_auth(ORDINARY)
        self.start_gateway(ORDINARY)
        if self.converts:
            self.converter = self.start("converter", ORDINARY)
        self.notifier = self.start("notifier", ORDINARY)
        self.anna = self.client()
        return self

    def __exit__(self, *_):
        self.close()
        self.temporary.cleanup()

    def wait_until_ended(self, conversion, interval=0.002):
        while True:
            shown = self.anna.get(f"/v1/conversions/{conversion}").json()
            if shown["state"] not in ("uploading", "queued", "converting"):
                return shown
            time.sleep(interval)


def sample(path, *arguments):
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", *map(str, arguments), str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def peak_mib(pid):
    """Peak resident memory of a living process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


missed = []


def judge(what, value, most, shown):
    holds = value <= most
    if not holds:
        missed.append(what)
    print(f"  {what}: {shown}, aim at most {most:.4g}{'' if holds else ' — MISSED'}", flush=True)


def end_where_missed():
    if missed:
        sys.exit(f"Missed: {'; '.join(missed)}")


def median(values):
    return statistics.median(values)


def spread(values):
    values = list(values)
    return f"{min(values):.3g} to {max(values):.3g}"


def table(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())

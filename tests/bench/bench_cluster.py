"""A hundred videos of a minute: one machine and a cluster beside ffmpeg alone.

    scripts/bench cluster
    BENCH_CONVERSIONS=6 scripts/bench cluster    a short look

Everything is done two at a time: `ffmpeg -vn -c:a libmp3lame -b:a 128k`, `tapedeck serve` on its own
stores, and a cluster of gateway, auth, one converter and a notifier on the real servers. ffmpeg needs no
pinning: decoding AAC and encoding MP3 are one thread each. It runs in two halves, before and after
`serve`, as a machine's speed drifts.

- *Makespan*: all videos lie ready, ffmpeg's as a file, ours uploaded and queued with the converter
  stopped (SIGSTOP); from its start, or its SIGCONT, to the last one `done` by the converter's log. So it
  is how long a backlog takes, and does not depend on how fast a client uploads.
- *CPU*: of our services and all workers, for the whole way: uploads, conversions, mail, and what the
  services do while they wait for one another. Servers apart. What others on this machine used meanwhile
  stands beside it: our client's, and in uploads all of it should be that, else the figures are theirs.
- *Pickup*: one upload at a time, with a converter that is idle; from the gateway's `upload stored`,
  logged as the message is handed over, to the begin of the work, which the converter's log tells: right
  after its claim. Both have milliseconds of one clock.
- *Ten times as many stored*: the same uploads, looks at them, lists and downloads, in the same time,
  once with the videos from before and once with nine copies more of each record, with a blob of a byte.
  Looks go by the clock, so that a few requests more or less say nothing. MongoDB counts the requests.

GridFS beside PyMongo comes last, as `scripts/bench gridfs` has it. Ends with 1 where an aim is missed.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import growth
from bench import ROOT, end_where_missed, judge, median, sample, table
from cpu import Cpu, machine_seconds
from places import JOBS, Apart, Embedded

CONVERSIONS = int(os.environ.get("BENCH_CONVERSIONS", "100"))
CPU_RATIO_MOST = 1.15
EMBEDDED_RATIO_MOST = 1.08
PICKUP_MOST_MS = 20
PATIENCE_S = 600
REST_S = 2  # for what is still on its way when the last mail is there: acks


def minute(folder):
    """Of 1280x720, and of sound that LAME has to work for."""
    voices = "|".join(
        f"0.25*sin(2*PI*{base}*t+3*sin(2*PI*{3 + base / 100}*t))+0.1*sin(2*PI*{base * 7}*t*t/60)"
        f"+0.04*(random({base})-0.5)"
        for base in (220, 330)
    )
    return sample(
        folder / "minute.mp4",
        *["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=60"],
        *["-f", "lavfi", "-i", f"aevalsrc={voices}:s=44100:c=stereo:d=60"],
        *["-c:v", "mpeg4", "-b:v", "1200k", "-maxrate", "1200k", "-bufsize", "2400k"],
        *["-c:a", "aac", "-b:a", "128k", "-movflags", "faststart"],
    )


class Work:
    """What some work took, in seconds and in those of processors: ours, each server's, and what others
    on this machine used meanwhile."""

    def __init__(self, seconds=0.0, ours=0.0, servers=None, others=0.0):
        self.seconds, self.ours, self.servers = seconds, ours, servers or {}
        self.others = others

    def __add__(self, other):
        names = {**self.servers, **other.servers}
        return Work(
            self.seconds + other.seconds,
            self.ours + other.ours,
            {name: self.servers.get(name, 0) + other.servers.get(name, 0) for name in names},
            self.others + other.others,
        )


class Laps:
    """Of a place's processes, each from the end of the one before."""

    def __init__(self, place):
        self.ours, self.servers = Cpu(place.services), Cpu(place.servers)
        self.machine = machine_seconds()

    def lap(self, begin, end):
        ours, servers = sum(self.ours.lap().values()), self.servers.lap()
        before, self.machine = self.machine, machine_seconds()
        others = self.machine - before - ours - sum(servers.values())
        return Work(end - begin, ours, servers, others)


def run_ffmpeg(video, folder, count):
    def convert(number):
        sample(folder / f"{number}.mp3", "-i", video, "-vn", "-c:a", "libmp3lame", "-b:a", "128k")

    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    machine, before, begin = machine_seconds(), used(), time.monotonic()
    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(convert, range(count)))
    seconds, alone = time.monotonic() - begin, used() - before
    return Work(seconds, alone, others=machine_seconds() - machine - alone)


def run_place(place, content):
    """Uploading, converting, and the rest."""
    laps = Laps(place)
    place.freeze()
    begin = time.time()
    ids = [place.upload(content) for _ in range(CONVERSIONS)]
    uploading = laps.lap(begin, time.time())
    begin = time.time()
    place.thaw()
    while len(done := place.done()) < CONVERSIONS:
        assert time.time() < begin + PATIENCE_S, f"{len(done)} conversions are done"
        time.sleep(0.25)
    end = max(ended for _, ended in done.values())
    converting = laps.lap(begin, end)
    assert set(done) == set(ids)
    place.wait_for_mails(CONVERSIONS, PATIENCE_S)
    time.sleep(REST_S)
    return uploading, converting, laps.lap(end, time.time())


# ---- What is told ----

def tell_place(place, alone, works):
    together = sum(works, Work())
    rows = [
        (f"ffmpeg alone, {JOBS} at a time", alone),
        ("uploading", works[0]),
        ("converting: makespan", works[1]),
        ("the last mails", works[2]),
        ("together", together),
    ]
    table([
        (place.name, "seconds", "CPU, s", "servers' CPU, s", "others' CPU, s"),
        *((name, f"{work.seconds:.1f}", f"{work.ours:.1f}", f"{sum(work.servers.values()):.1f}",
           f"{work.others:.1f}") for name, work in rows),
    ])
    if place.servers:
        tell_servers(works[1])
    ratio = together.ours / alone.ours
    judge(f"{place.name}: CPU of our services ÷ ffmpeg's", ratio, CPU_RATIO_MOST, f"{ratio:.3f}")


def tell_servers(converting):
    parts = ", ".join(f"{name} {value:.1f}" for name, value in converting.servers.items())
    cores = os.cpu_count()
    taken = sum(converting.servers.values())
    print(f"  of the makespan's {converting.seconds * cores:.1f} s on {cores} cores the servers took "
          f"{taken:.1f} ({parts})")


def tell_pickup(name, values):
    judge(f"{name}: pickup, median ms of {len(values)}", median(values), PICKUP_MOST_MS,
          f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})")


def main():
    print(f"  {CONVERSIONS} videos")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        video = minute(folder)
        content = video.read_bytes()
        print(f"  of a minute and {len(content) / 1e6:.1f} MB")
        run_ffmpeg(video, folder, JOBS)
        half = CONVERSIONS // 2
        alone = run_ffmpeg(video, folder, half)
        with Embedded() as embedded:
            embedded_works = run_place(embedded, content)
            embedded_pickup = growth.pickup(embedded, growth.clip(folder))
        alone += run_ffmpeg(video, folder, CONVERSIONS - half)
        tell_place(embedded, alone, embedded_works)
        ratio = embedded_works[1].seconds / alone.seconds
        judge("embedded: makespan ÷ ffmpeg's", ratio, EMBEDDED_RATIO_MOST, f"{ratio:.3f}")
        tell_pickup("embedded", embedded_pickup)
        with Apart() as cluster:
            works = run_place(cluster, content)
            tell_place(cluster, alone, works)
            print(f"  cluster: makespan ÷ ffmpeg's: {works[1].seconds / alone.seconds:.3f}")
            few, many = growth.run(cluster, folder)
        tell_pickup("cluster", few.pickup)
        growth.tell(few, many)
    print("  GridFS:", flush=True)
    subprocess.run([sys.executable, ROOT / "tests" / "bench" / "bench_gridfs.py"], check=True)
    end_where_missed()


main()

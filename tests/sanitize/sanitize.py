"""Converts a corpus of files by `tapedeck convert` with each sanitizer in worker and parent, and counts
what they report. See scripts/sanitize."""

import argparse
import collections
import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
LOGS = ROOT / "build-sanitize-logs"
SECONDS_MAX = 600  # for one conversion: what takes longer hangs
# As the worker's own limit would be, which cannot be set where a sanitizer maps terabytes.
ALLOCATION_MAX_MB = 768


@dataclasses.dataclass(frozen=True)
class Build:
    """One build and how its sanitizers are set, in the worker as in its parent."""

    name: str
    folder: pathlib.Path
    options: dict

    def environment(self):
        common = f"allocator_may_return_null=1:max_allocation_size_mb={ALLOCATION_MAX_MB}"
        return {name: f"{common}:{value}" for name, value in self.options.items()}


BUILDS = [
    Build(
        "address",
        ROOT / "build-test",
        {
            # The library of cores.c comes first.
            "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1"
            ":verify_asan_link_order=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "LSAN_OPTIONS": f"suppressions={HERE / 'leak.supp'}:print_suppressions=0",
        },
    ),
    Build(
        "thread",
        ROOT / "build-thread",
        {
            "TSAN_OPTIONS": "second_deadlock_stack=1:history_size=4"
            f":suppressions={HERE / 'thread.supp'}:print_suppressions=0"
        },
    ),
]

REPORT = re.compile(r"Sanitizer|runtime error:")
# What ends a report; and the answer to a file that wants more memory than there is: malloc() returns
# NULL then, as it should.
NO_REPORT = re.compile(r"^SUMMARY: |Sanitizer: reported |WARNING: \w+Sanitizer failed to allocate")


@dataclasses.dataclass
class Outcome:
    """What came of a conversion."""

    code: int
    said: str
    mp3: str  # a hash; "" if there is none
    reports: list
    log: str

    def result(self):
        return (self.code, self.said, self.mp3)

    def in_short(self):
        failure = re.search(r"\((\w+):", self.said)
        return failure[1] if failure else f"ended with {self.code}, {self.mp3[:8] or 'no MP3'}"


def place(build, worker, folder):
    """A folder with tapedeck in it, and in place of the worker a script that starts `worker` with the
    sanitizer's settings, which its parent's clean environment would lack. The worker has a session of
    its own, so that it can end and be looked at for leaks after its parent has killed the script."""
    folder.mkdir(parents=True)
    shutil.copy(build.folder / "tapedeck", folder)
    script = folder / "tapedeck-worker"
    settings = "".join(f"export {name}='{value}'\n" for name, value in build.environment().items())
    script.write_text(f"#!/bin/sh\n{settings}setsid '{build.folder / worker}' &\nexec 3<&-\nwait $!\n")
    script.chmod(0o755)
    return folder / "tapedeck"


def prefix():
    """ThreadSanitizer knows where things lie in memory, and more chance than this confuses it."""
    bits = pathlib.Path("/proc/sys/vm/mmap_rnd_bits")
    is_too_much = bits.exists() and int(bits.read_text()) > 28
    return ["setarch", "-R"] if is_too_much else []


def bytes_out(process):
    """Has any of the MP3 been written, into a file that has no name yet?"""
    folder = pathlib.Path(f"/proc/{process.pid}/fd")
    try:
        for fd in folder.iterdir():
            if "deleted" in os.readlink(fd) and os.stat(fd).st_size > 0:
                return True
    except OSError:
        pass
    return False


# ---- How a conversion is broken off ----


def leave_alone(_process, _source):
    pass


def interrupt(process, _source):
    """Ctrl-C, once it writes."""
    while process.poll() is None and not bytes_out(process):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)


def interrupt_early(process, _source):
    """Ctrl-C while it is still measuring, or opening."""
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)


def kill(process, _source):
    while process.poll() is None and not bytes_out(process):
        time.sleep(0.01)
    process.kill()


def feed(process, source, part):
    data = source.read_bytes()
    try:
        process.stdin.write(data[: len(data) * part // 100])
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it needs no more


def end_input(process, source):
    """A pipe whose writer is gone half-way."""
    feed(process, source, 50)
    process.stdin.close()


def interrupt_reading(process, source):
    """Ctrl-C while the worker waits for input that does not come."""
    feed(process, source, 60)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.wait()
    process.stdin.close()


@dataclasses.dataclass(frozen=True)
class Way:
    """How a conversion goes, or does not."""

    name: str
    disturb: object
    is_piped: bool = False
    is_comparable: bool = False  # what comes of it does not depend on when it is


WHOLE = Way("whole", leave_alone, is_comparable=True)
BROKEN_OFF = [
    Way("interrupted while it writes", interrupt),
    Way("interrupted at once", interrupt_early),
    Way("killed", kill),
    Way("input's pipe ends", end_input, is_piped=True, is_comparable=True),
    Way("interrupted while it reads", interrupt_reading, is_piped=True),
]


def end_all_in(folder):
    """Whatever was started there: the worker is nobody's child any more."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            pass


def follow(process, source, way, folder):
    """Until the worker has ended, too: last of all it says what it leaked. Returns what was said."""
    timer = threading.Timer(SECONDS_MAX, end_all_in, [folder])
    timer.start()
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as aside:
        disturbing = aside.submit(way.disturb, process, source)
        log = process.stderr.read().decode(errors="replace")
        process.wait()
        disturbing.result()
    timer.cancel()
    if time.monotonic() - start >= SECONDS_MAX:
        log += f"\nno Sanitizer said anything, but it was not done after {SECONDS_MAX} s\n"
    return log


def convert(program, build, arguments, source, threads, way=WHOLE):
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        mp3 = pathlib.Path(folder) / "out.mp3"
        command = [*prefix(), program, "convert", "--quiet", *arguments]
        process = subprocess.Popen(
            [*command, "-" if way.is_piped else source, mp3],
            cwd=folder,
            stdin=subprocess.PIPE if way.is_piped else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C",
                "LD_PRELOAD": str(build.folder / "tests" / "sanitize" / "libcores.so"),
                "TAPEDECK_CORES": str(threads),
                **build.environment(),
            },
        )
        log = follow(process, source, way, folder)
        data = mp3.read_bytes() if mp3.exists() else b""
    lines = log.splitlines()
    return Outcome(
        code=process.returncode,
        said="\n".join(line for line in lines if line.startswith("tapedeck ")).replace(str(source), "IN"),
        mp3=hashlib.sha256(data).hexdigest() if data else "",
        reports=[line for line in lines if REPORT.search(line) and not NO_REPORT.search(line)],
        log=log,
    )


# ---- Would they notice? ----

# What faulty_worker.c does, and who has to report it.
MISTAKES = {
    "none": [],
    "race": ["thread"],
    "read past the end": ["address"],
    "use after free": ["address", "thread"],
    "overflow": ["address"],
    "leak": ["address"],
}


def check_that_they_notice(programs, source):
    """A worker with a known mistake, started and confined as the real one is."""
    is_good = True
    for build in BUILDS:
        noticed = []
        for mistake, expected_of in MISTAKES.items():
            outcome = convert(programs[build.name], build, ["--title", mistake], source, 1)
            is_expected = build.name in expected_of or (mistake != "none" and outcome.reports)
            if bool(outcome.reports) != bool(is_expected):
                is_good = False
                print(f"MISTAKE on purpose '{mistake}', {build.name}: {outcome.reports or 'no report'}")
                keep_log(f"self-{build.name}-{mistake}", outcome)
            elif outcome.reports:
                noticed.append(mistake)
        print(f"noticed by the sanitizers of {build.folder.name}: {', '.join(noticed)}")
    return is_good


# ---- The corpus ----


def keep_log(name, outcome):
    LOGS.mkdir(exist_ok=True)
    (LOGS / f"{name}.log").write_text(outcome.log)


@dataclasses.dataclass
class Row:
    """What is printed of a container, or of a way to break off."""

    files: set = dataclasses.field(default_factory=set)
    conversions: int = 0
    mp3s: int = 0
    refused: int = 0
    ended: int = 0
    different: int = 0
    reports: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def add(self, file, outcomes, is_comparable):
        self.files.add(file)
        self.conversions += 1
        self.reports.update({name: len(outcome.reports) for name, outcome in outcomes.items()})
        first, second = outcomes.values()
        if is_comparable and first.result() != second.result():
            self.different += 1
        elif first.code == second.code == 0:
            self.mp3s += 1
        elif "(" in first.said and "(" in second.said and is_comparable:
            self.refused += 1
        else:
            self.ended += 1

    def cells(self, name):
        counts = [len(self.files), self.conversions, self.mp3s, self.refused, self.ended, self.different]
        return [name, *counts, self.reports["address"], self.reports["thread"]]


def arguments_of(wish):
    pairs = [option.split("=") for option in wish.split()]
    return [part for name, value in pairs for part in (f"--{name}", value)]


def tasks(files):
    """Every conversion: (row of the table, file, wish, way)."""
    for file in files:
        for wish in file.wishes:
            yield file.kind.ending, file, wish, WHOLE
    long_ones = [file for file in files if file.seconds >= 60]
    for number, file in enumerate(long_ones):
        for way in BROKEN_OFF[number % 2 :: 2]:
            wish = "loudness-lufs=-16" if way.name == "interrupted at once" else file.wishes[0]
            yield way.name, file, wish, way


def run(task, programs, folder):
    row, file, wish, way = task
    outcomes = {}
    for build in BUILDS:
        outcomes[build.name] = convert(
            programs[build.name], build, arguments_of(wish), folder / file.name, file.threads, way
        )
    is_different = way.is_comparable and len({outcome.result() for outcome in outcomes.values()}) > 1
    for name, outcome in outcomes.items():
        if outcome.reports or is_different:
            keep_log(f"{file.name}-{wish}-{way.name}-{name}".replace(" ", "_"), outcome)
            for line in outcome.reports[:1]:
                print(f"REPORT {file.name} ({wish or 'as it is'}; {way.name}), {name}: {line}")
    if is_different:
        told = ", ".join(f"{name}: {outcome.in_short()}" for name, outcome in outcomes.items())
        print(f"DIFFERENT {file.name} ({wish or 'as it is'}; {way.name}): {told}")
    return row, file.name, outcomes, way.is_comparable


HEAD = ["", "files", "runs", "MP3s", "refused", "ended", "different", "address", "thread"]


def show(rows):
    cells = [HEAD, *(row.cells(name) for name, row in rows.items())]
    sums = [sum(row[column] for row in cells[1:]) for column in range(2, len(HEAD))]
    cells.append(["all", len(set().union(*(row.files for row in rows.values()))), *sums])
    for row in cells:
        print(f"{row[0]:<28}" + "".join(f"{cell:>10}" for cell in row[1:]))
    return sums[-3:]


def run_corpus(files, programs, folder, jobs):
    print(f"making {len(files)} files")
    corpus.make_programme(folder)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda file: corpus.make(file, folder), files))
        print("each converted with both builds, by one to four encoders")
        rows = collections.defaultdict(Row)
        done = pool.map(lambda task: run(task, programs, folder), tasks(files))
        for row, file, outcomes, is_comparable in done:
            rows[row].add(file, outcomes, is_comparable)
    return show(rows)


def main():
    parser = argparse.ArgumentParser(prog="scripts/sanitize")
    parser.add_argument("names", nargs="*", help="only files with one of these in their names")
    parser.add_argument("--every", type=int, default=1, help="only every n-th file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    shutil.rmtree(LOGS, ignore_errors=True)
    files = [
        file
        for file in corpus.files()[:: chosen.every]
        if not chosen.names or any(name in file.name for name in chosen.names)
    ]
    with tempfile.TemporaryDirectory(prefix="tapedeck-sanitize-") as name:
        folder = pathlib.Path(name)
        source = corpus.make_silence(folder)
        faulty = {b.name: place(b, "tests/sanitize/faulty_worker", folder / f"self-{b.name}") for b in BUILDS}
        if not check_that_they_notice(faulty, source):
            return 1
        programs = {b.name: place(b, "tapedeck-worker", folder / b.name) for b in BUILDS}
        different, address, thread = run_corpus(files, programs, folder, chosen.jobs)
    print(f"{address + thread} reports, {different} different")
    return 1 if address + thread + different else 0


sys.exit(main())

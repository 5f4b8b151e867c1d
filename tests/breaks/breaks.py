#!/usr/bin/env python3
"""Breaks the product on purpose, one line at a time, and shows which test notices.

usage: breaks.py [--list] [--match] [--folder FOLDER] [NAME...]

Each break of breaks.toml changes one line of one file in src/, and names the test that has to fail
then. All of it happens in a copy of the sources with its own builds (build-breaks, unless --folder
names another), which is kept: the next run builds only what has changed. The test must pass before
the break and fail after it, in a case, not by a build that no longer works. Tests on real servers
get them on loopback, for as long as this runs. Ends with a table in Markdown; exit status 1 if any
break went unnoticed or could not be tried.

--list prints the breaks, --match only sees whether all of their lines are still in the sources.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = pathlib.Path(__file__).with_name("breaks.toml")

# As scripts/test builds them, and by the names under which the system tests look for them.
BUILDS = {
    "build-test": ["-Db_sanitize=address,undefined", "-Db_lundef=false"],
    "build-release": ["--buildtype=release"],
    "build-faults": ["--buildtype=release", "-Dfaults=true"],
}
SERVERS = ROOT / "tests" / "support" / "servers" / "all"
OPTIONAL = {"after", "seconds", "faults", "servers"}
REQUIRED = {"name", "area", "promise", "file", "old", "new", "test"}
SYSTEM_TARGETS = ["tapedeck", "tapedeck-worker", "tests/seed", "tests/blobs", "tests/messages"]
TEST_SECONDS = 120
BUILD_SECONDS = 1800
SHOWN_CASES = 2


class Failure(Exception):
    """What makes a break impossible to try: said in its row."""


class Break:
    def __init__(self, row):
        missing, unknown = REQUIRED - row.keys(), row.keys() - REQUIRED - OPTIONAL
        if missing or unknown:
            raise Failure(f"{row.get('name')}: missing {sorted(missing)}, unknown {sorted(unknown)}")
        self.name = row["name"]
        self.area = row["area"]
        self.promise = row["promise"]
        self.file = row["file"]
        self.after = row.get("after")
        self.old = row["old"]
        self.new = row["new"]
        self.test = row["test"]
        self.seconds = row.get("seconds", TEST_SECONDS)
        self.is_system = ".py" in self.test
        self.needs_faults = row.get("faults", False)
        self.needs_servers = row.get("servers", False)
        if any("\n" in text for text in (self.old, self.new, self.after or "")):
            raise Failure(f"{self.name}: old, new and after are parts of one line each")

    def find_line(self, lines):
        """The index of the one line that has `old` in it (of those below the one with `after`)."""
        begin = 0
        if self.after is not None:
            begin = self._only(lines, self.after, 0, len(lines)) + 1
            # As far as the function or table goes that begins there.
            ends = [i for i in range(begin, len(lines)) if lines[i].startswith("}")]
            return self._only(lines, self.old, begin, ends[0] if ends else len(lines))
        return self._only(lines, self.old, begin, len(lines))

    def _only(self, lines, text, begin, end):
        is_beginning = text.startswith(" ")
        found = [i for i in range(begin, end)
                 if (lines[i].startswith(text) if is_beginning else text in lines[i])]
        if len(found) != 1:
            raise Failure(f"{self.file} has `{text}` in {len(found)} lines, not in one")
        return found[0]

    def apply(self, text):
        lines = text.splitlines(keepends=True)
        index = self.find_line(lines)
        if lines[index].count(self.old) != 1:
            raise Failure(f"{self.file}:{index + 1} has `{self.old}` more than once")
        lines[index] = lines[index].replace(self.old, self.new)
        return "".join(lines)


def load_breaks():
    with open(TABLE, "rb") as stream:
        breaks = [Break(row) for row in tomllib.load(stream)["break"]]
    names = [one.name for one in breaks]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Failure(f"two breaks of one name: {sorted(twice)}")
    return breaks


def run(command, seconds, folder, environment=None):
    """Its exit status (None: it took too long) and its output; nothing of it is left running."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        end(process)
        return None, process.communicate()[0]
    except BaseException:
        end(process)
        raise


def end(process):
    """Meson's tests are in sessions of their own, and end with it only where it is asked to end."""
    for number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


class Servers:
    """Those of a cluster, started when a test first asks for their addresses."""

    def __init__(self):
        self.folder = None
        self.addresses = {}

    def start(self):
        if self.addresses:
            return self.addresses
        self.folder = tempfile.mkdtemp(prefix="tapedeck-breaks-")
        # Not through run(): they outlive the command that starts them.
        started = subprocess.run(
            [SERVERS, "start", self.folder],
            env={**os.environ, "SERVERS_OWNER": str(os.getpid())},
            capture_output=True, text=True,
        )
        if started.returncode != 0:
            raise Failure(f"the servers do not start: {started.stderr[-500:]}")
        self.addresses = dict(line.split("=", 1) for line in started.stdout.splitlines())
        return self.addresses

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder is not None:
            subprocess.run([SERVERS, "stop", self.folder], check=False)


class Copy:
    """The sources as they are now, committed or not, in a folder of their own with their builds."""

    def __init__(self, folder, jobs, servers):
        self.folder = folder
        self.jobs = jobs
        self.servers = servers
        self.tests = {}

    def refresh(self):
        """Only what differs is written, so that only what depends on it is built again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout.split("\0")
        names = {name for name in listed if name and (ROOT / name).is_file()}
        for name in names:
            source, target = ROOT / name, self.folder / name
            content = source.read_bytes()
            if not target.is_file() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                shutil.copymode(source, target)
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            if name.parts[0] in BUILDS or not path.is_file():
                continue
            if str(name) not in names:
                path.unlink()

    def build(self, build, targets):
        folder = self.folder / build
        if not (folder / "build.ninja").exists():
            command = ["meson", "setup", build, *BUILDS[build]]
            status, output = run(command, BUILD_SECONDS, self.folder, {"CC": "gcc"})
            if status != 0:
                raise Failure(f"{build} cannot be set up:\n{output[-2000:]}")
        status, output = run(
            ["ninja", "-C", build, "-j", str(self.jobs), *targets], BUILD_SECONDS, self.folder
        )
        if status != 0:
            errors = re.findall(r"^.*(?:error:|FAILED:|unknown target).*$", output, re.MULTILINE)
            raise Failure(f"{build} does not build: {' '.join(errors[:3]) or output[-500:]}")

    def _introspect(self, what):
        status, output = run(["meson", "introspect", what, "build-test"], 60, self.folder)
        if status != 0:
            raise Failure(f"meson introspect {what}: {output}")
        return json.loads(output)

    def meson_test(self, name):
        """What Meson knows of a test."""
        if not self.tests:
            self.build("build-test", ["build.ninja"])
            files = {target["id"]: target["filename"] for target in self._introspect("--targets")}
            prefix = self.folder / "build-test"
            for test in self._introspect("--tests"):
                # Of a script, what it tries is built; of a program, what it starts as well.
                words = [*test["cmd"], *sum((files[name] for name in test["depends"]), [])]
                paths = {pathlib.Path(word) for word in words}
                test["targets"] = sorted(
                    str(path.relative_to(prefix)) for path in paths if path.is_relative_to(prefix)
                )
                self.tests[test["name"]] = test
        if name not in self.tests:
            raise Failure(f"no test of Meson is called {name}")
        return self.tests[name]

    def try_test(self, one):
        """The names of the cases that failed; none: it passed."""
        if not one.is_system:
            environment = self.servers.start() if one.needs_servers else None
            return self._meson_test(one.test, one.seconds, environment)
        self.build("build-release", SYSTEM_TARGETS)
        if one.needs_faults:
            self.build("build-faults", ["tapedeck", "tapedeck-worker"])
        return self._pytest(one.test, one.seconds)

    def _meson_test(self, name, seconds, environment):
        test = self.meson_test(name)
        self.build("build-test", test["targets"])
        log = self.folder / "build-test" / "meson-logs" / "testlog.json"
        log.unlink(missing_ok=True)
        multiplier = f"{seconds / test['timeout']:.3f}"
        command = ["meson", "test", "-C", "build-test", "--no-rebuild", "-t", multiplier, name]
        status, output = run(command, seconds + 60, self.folder, environment)
        if not log.exists():
            raise Failure(f"meson test: {output[-500:]}")
        program = json.loads(log.read_text().splitlines()[0])
        if program["result"] == "SKIP":
            raise Failure(f"{name} was skipped: servers = true?")
        return [] if status == 0 else failed_in_tap(program) or [f"{name}: {last_words(program)}"]

    def _pytest(self, node, seconds):
        results = self.folder / "results.xml"
        results.unlink(missing_ok=True)
        command = ["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                   f"--junitxml={results}", node]
        environment = {
            "TAPEDECK_BUILD": str(self.folder / "build-release"),
            "TAPEDECK_BUILD_FAULTS": str(self.folder / "build-faults"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        status, output = run(command, seconds, self.folder, environment)
        if status is None:
            return [f"{node}: no end within {seconds} s"]
        if status not in (0, 1):
            raise Failure(f"pytest {node}: {output[-500:]}")
        cases = list(xml.etree.ElementTree.parse(results).iter("testcase"))
        if all(case.find("skipped") is not None for case in cases):
            raise Failure(f"{node} was skipped")
        return [case.get("name") for case in cases
                if case.find("failure") is not None or case.find("error") is not None]


def failed_in_tap(program):
    return re.findall(r"^not ok \d+ - (\S+)", program.get("stdout", ""), re.MULTILINE)


def last_words(program):
    """Of a program that ended badly without naming a case: what it, or the sanitizer, said last."""
    if program["result"] == "TIMEOUT":
        return "no end in time"
    text = program.get("stdout", "") + program.get("stderr", "")
    found = re.findall(r"^.*(?:ERROR: \w+Sanitizer|runtime error:|  broken:|Assertion).*$", text,
                       re.MULTILINE)
    lines = found or text.strip().splitlines()[-1:] or [f"{program['result']}, no output"]
    return lines[0].strip()


class Row:
    def __init__(self, tried, result, is_noticed, seconds):
        self.tried = tried
        self.result = result
        self.is_noticed = is_noticed
        self.seconds = seconds

    def markdown(self):
        cells = (self.tried.name, self.tried.promise, f"`{self.tried.test}`", self.result)
        return "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |"


def shorten(cases):
    shown = ", ".join(cases[:SHOWN_CASES])
    more = len(cases) - SHOWN_CASES
    return shown + (f" and {more} more" if more > 0 else "")


def try_break(copy, one, unbroken):
    """The row's result, and whether the test noticed. `unbroken` remembers what has passed."""
    path = copy.folder / one.file
    original = path.read_text()
    broken = one.apply(original)
    if one.test not in unbroken:
        unbroken[one.test] = copy.try_test(one)
    if unbroken[one.test]:
        raise Failure(f"fails without the break: {shorten(unbroken[one.test])}")
    try:
        path.write_text(broken)
        failed = copy.try_test(one)
    finally:
        path.write_text(original)
    return (shorten(failed), True) if failed else ("**NOT NOTICED**", False)


def try_breaks(copy, breaks):
    unbroken, rows = {}, []
    for number, one in enumerate(breaks, 1):
        start = time.monotonic()
        try:
            result, is_noticed = try_break(copy, one, unbroken)
        except (Failure, OSError) as failure:
            result, is_noticed = f"**NOT TRIED**: {failure}", False
        rows.append(Row(one, result, is_noticed, time.monotonic() - start))
        print(f"{number}/{len(breaks)} {'noticed' if is_noticed else 'FAILED '} {one.name} "
              f"({rows[-1].seconds:.0f} s): {result}", flush=True)
    return rows


def match(breaks):
    """Whether all lines are there, exactly once; says which are not."""
    lost = 0
    for one in breaks:
        try:
            one.apply((ROOT / one.file).read_text())
        except (Failure, OSError) as failure:
            print(f"{one.name}: {failure}", file=sys.stderr)
            lost += 1
    if lost > 0:
        print(f"{lost} of {len(breaks)} breaks have lost their line: tests/breaks/breaks.toml has "
              "to follow the sources", file=sys.stderr)
    return lost == 0


def choose(breaks, names):
    unknown = set(names) - {one.name for one in breaks}
    if unknown:
        raise Failure(f"no break is called {', '.join(sorted(unknown))}; --list shows them")
    return [one for one in breaks if not names or one.name in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the breaks")
    parser.add_argument("--match", action="store_true", help="only look for their lines")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build-breaks")
    parser.add_argument("--jobs", type=int, default=2, help="of the compiler at once (2)")
    arguments = parser.parse_args()
    try:
        breaks = choose(load_breaks(), arguments.names)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 2
    if arguments.list:
        for one in breaks:
            print(f"{one.name:40} {one.area:9} {one.promise}")
        return 0
    if not match(breaks):
        return 1
    if arguments.match:
        return 0
    with Servers() as servers:
        copy = Copy(arguments.folder.resolve(), arguments.jobs, servers)
        copy.refresh()
        rows = try_breaks(copy, breaks)
    print("\n| break | promise | test | noticed by |\n|---|---|---|---|")
    for row in rows:
        print(row.markdown())
    noticed = sum(row.is_noticed for row in rows)
    print(f"\n{noticed} of {len(rows)} breaks noticed")
    return 0 if noticed == len(rows) else 1


sys.exit(main())

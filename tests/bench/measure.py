"""A command, and what it took with all the processes that it started."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time
from collections import namedtuple

from bench import peak_mib
from cpu import own_seconds

LOOK_S = 0.05

# Processor time is that of all; `own` of the command alone, when it was last looked at. Memory is the most
# that was resident: of the process that had most, and of all at a moment, where pages that they share count once.
Taken = namedtuple("Taken", "seconds cpu_seconds one_mib all_mib own_cpu_seconds")


def family(pid):
    """The process and those that it started, and they in turn."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        yield pid
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))


@contextlib.contextmanager
def cores(count):
    """What is started meanwhile has only so many; None: all."""
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cores)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


def proportional_mib(pid):
    """Resident memory, of a page that others have too its share."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def run(command, looks=True):
    """Looking at memory takes time twenty times a second, which is not for runs that are timed."""
    one, together, own = 0.0, 0.0, 0.0
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG if looks else 0)
        if pid:
            break
        own = own_seconds(process.pid)
        now = 0.0
        for seen in family(process.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                one = max(one, peak_mib(seen))
                now += proportional_mib(seen)
        together = max(together, now)
        time.sleep(LOOK_S)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed")
    cpu = usage.ru_utime + usage.ru_stime
    return Taken(seconds, cpu, one, together, own)

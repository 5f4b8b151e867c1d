"""Processor seconds of processes and of all that they start, ended or not."""

import contextlib
import os
import pathlib

import bench  # noqa: F401  where tests/system is
from served import descendants_of

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def ticks_of(pid):
    """In user and system mode: its own, then those of its children that have ended and were waited for."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return [int(ticks) for ticks in stat.rpartition(")")[2].split()[11:15]]


def own_seconds(pid):
    return sum(ticks_of(pid)[:2]) / TICKS_PER_SECOND


def seconds_of(pid):
    """Its own, and those of its children that have ended and were waited for."""
    return sum(ticks_of(pid)) / TICKS_PER_SECOND


def machine_seconds():
    """Of everybody on it, and what its host gave to others."""
    line = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


class Cpu:
    """Of processes by their names, since it was made or last asked."""

    def __init__(self, pids):
        self.pids = pids
        self.last = self.totals()

    def total(self, pid):
        seconds = 0.0
        for one in [pid, *descendants_of(pid)]:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                seconds += seconds_of(one)
        return seconds

    def totals(self):
        return {name: self.total(pid) for name, pid in self.pids.items()}

    def lap(self):
        now = self.totals()
        spent = {name: now[name] - self.last[name] for name in now}
        self.last = now
        return spent

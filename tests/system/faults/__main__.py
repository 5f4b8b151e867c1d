"""Runs them one after another, each on a cluster of its own, and prints a table."""

import argparse
import random
import sys
import tempfile
import time
import traceback

from faults.house import TIMES, House
from faults.keeper import RESTART_S
from faults.runs import ENVIRONMENTS, MAY_REPEAT_MAILS, OPTIONS, RUNS


def arguments_of(words):
    parser = argparse.ArgumentParser(prog="scripts/faults")
    parser.add_argument("runs", nargs="*", metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--conversions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args(words)
    for name in arguments.runs:
        if name not in RUNS:
            parser.error(f"there is no run {name}")
    return arguments


def run(name, count, seed):
    """A row of the table."""
    dice = random.Random(f"{seed}/{name}")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tapedeck-faults-") as folder:
        with House(f"{folder}/{name}", ENVIRONMENTS.get(name), OPTIONS.get(name)) as house:
            try:
                told = RUNS[name](house, count, dice)
                row = house.check(name in MAY_REPEAT_MAILS)
            except BaseException:
                house.keep_logs(name)
                raise
    if name != "kills":
        assert row["restarts"] == 0, "a service died"
    return {"run": name, **row, "took": f"{time.monotonic() - begin:.0f} s", "what": told}


def print_table(rows):
    columns = list(rows[0])
    widths = [max(len(str(row[column])) for row in [*rows, dict(zip(columns, columns))])
              for column in columns]
    for row in [dict(zip(columns, columns)), *rows]:
        cells = [str(row[column]).ljust(width) for column, width in zip(columns, widths)]
        print("  ".join(cells).rstrip())


def main():
    arguments = arguments_of(sys.argv[1:])
    names = arguments.runs or list(RUNS)
    print(f"seed {arguments.seed}, {arguments.conversions} conversions each")
    print(f"services that died are started after {RESTART_S} s;",
          ", ".join(f"{key} {value}" for key, value in TIMES.items()), flush=True)
    rows, failed = [], []
    for name in names:
        try:
            rows.append(run(name, arguments.conversions, arguments.seed))
            print(f"ok      {name}: {RUNS[name].__doc__}", flush=True)
        except Exception:
            failed.append(name)
            print(f"FAILED  {name}: {RUNS[name].__doc__}", flush=True)
            traceback.print_exc(file=sys.stdout)
    if rows:
        print_table(rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

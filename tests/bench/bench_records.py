"""Cost of creating, listing and claiming a record with 10,000 stored, against 1,000."""

import pathlib
import subprocess
import tempfile

from bench import ROOT


def main():
    program = ROOT / "build-release" / "tests" / "bench" / "bench_records"
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        subprocess.run([program, pathlib.Path(folder)], check=True)


main()

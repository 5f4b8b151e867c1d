"""In every container: samples as `ffmpeg -i F -f s16le` decodes the source, and as it decodes its MP3."""

import pathlib
import subprocess
import sys
import tempfile

from bench import ROOT, table

import lengths  # of tests/system

CONVERT = [ROOT / "build-release" / "tapedeck", "convert", "--quiet", "--force", "--copy", "never"]


def main():
    rows, different = [("source", "format", "ffmpeg's PCM", "our MP3", "")], 0
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        mp3 = pathlib.Path(folder) / "out.mp3"
        for name, make in lengths.SOURCES.items():
            source = make()
            subprocess.run([*CONVERT, source, mp3], check=True)
            expected = lengths.samples_of(source, how=lengths.RESAMPLED.get(name, []))
            found = lengths.samples_of(mp3)
            different += expected != found
            verdict = "same" if expected == found else "DIFFERENT"
            rows.append((name, lengths.format_of(source), expected, found, verdict))
    table(rows)
    print(f"  {len(rows) - 1} files, {different} of another length")
    sys.exit(1 if different else 0)


main()

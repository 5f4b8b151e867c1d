"""`tapedeck convert` beside `ffmpeg -vn -c:a libmp3lame` on 20 minutes of video: time, processor
time and memory. The runs alternate, so that a busy machine disturbs both."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from bench import ROOT, median, peak_mib, sample, spread, table

RUNS = 5
MINUTES = 20
TAPEDECK = ROOT / "build-release" / "tapedeck"
SETTINGS = [("128 kb/s", ["--bitrate-kbps", "128"], ["-b:a", "128k"]),
            ("VBR 2", ["--vbr-quality", "2"], ["-q:a", "2"])]


def film(folder):
    """A minute of moving pictures and of sound that LAME has to work for, again and again."""
    voices = "|".join(
        f"0.25*sin(2*PI*{base}*t+3*sin(2*PI*{3 + base / 100}*t))+0.1*sin(2*PI*{base * 7}*t*t/60)"
        f"+0.04*(random({base})-0.5)"
        for base in (220, 330)
    )
    minute = sample(
        folder / "minute.mp4",
        *["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=60"],
        *["-f", "lavfi", "-i", f"aevalsrc={voices}:s=44100:c=stereo:d=60"],
        *["-c:v", "mpeg4", "-b:v", "1M", "-c:a", "aac", "-b:a", "160k"],
    )
    return sample(
        folder / "film.mp4",
        *["-stream_loop", MINUTES - 1, "-i", minute, "-c", "copy", "-movflags", "faststart"],
    )


def children_of(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()]


def run(command):
    """Seconds, processor seconds and the most memory of the process and its child."""
    start = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    peaks = {}
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        for seen in [process.pid, *children_of(process.pid)]:
            try:
                peaks[seen] = max(peaks.get(seen, 0), peak_mib(seen))
            except (FileNotFoundError, ProcessLookupError):
                pass
        time.sleep(0.02)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command[0]} failed")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, sum(peaks.values())


def compare(source, folder, ours, theirs):
    commands = {
        "tapedeck": [TAPEDECK, "convert", "--quiet", "--force", *ours, source, folder / "a.mp3"],
        "ffmpeg": ["ffmpeg", "-v", "error", "-y", "-i", source, "-vn", "-c:a", "libmp3lame"]
        + [*theirs, folder / "b.mp3"],
    }
    found = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            found[name].append(run(command))
    return {name: list(zip(*runs)) for name, runs in found.items()}


def main():
    rows = [["", "tapedeck", "ffmpeg", "ratio", "tapedeck's runs", "ffmpeg's runs"]]
    with tempfile.TemporaryDirectory(prefix="tapedeck-bench-", dir=ROOT) as name:
        folder = pathlib.Path(name)
        source = film(folder)
        for title, ours, theirs in SETTINGS:
            found = compare(source, folder, ours, theirs)
            for index, unit in enumerate(["s", "processor s", "MiB at most"]):
                mine, others = found["tapedeck"][index], found["ffmpeg"][index]
                rows.append(
                    [f"{title}, {unit}", f"{median(mine):.2f}", f"{median(others):.2f}"]
                    + [f"{median(mine) / median(others):.2f}", spread(mine), spread(others)]
                )
    print(f"{MINUTES} minutes of AAC in MP4, median of {RUNS}, {os.cpu_count()} cores")
    table(rows)


main()

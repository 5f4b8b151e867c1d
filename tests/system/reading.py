"""What tapedeck reads of a video: its ranges, as strace sees them."""

import os
import re
import subprocess

import media
from workshop import RELEASE

PREAD = re.compile(r"pread64\(\d+, .*, \d+, (\d+)\) += (\d+)")


def ranges(folder, *arguments):
    """(offset, size) of each piece, in order."""
    log = folder / "strace"
    # Who is traced cannot look for leaks: in a sanitized build that alone would be a failure.
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    subprocess.run(
        ["strace", "-f", "-e", "trace=pread64", "-o", log, RELEASE / "tapedeck", "convert"]
        + ["--quiet", "--force", *arguments, "out.mp3"],
        cwd=folder,
        env={**os.environ, "ASAN_OPTIONS": options},
        check=True,
    )
    found = (PREAD.search(line) for line in log.read_text().splitlines())
    return [(int(one[1]), int(one[2])) for one in found if one and int(one[2]) > 0]


FILMS = {
    "beside.mp4": [],
    "half.mp4": ["-chunk_duration", "500000"],
    "whole.mov": ["-chunk_duration", "1000000", "-movflags", "+faststart"],
    "pieces.mp4": ["-movflags", "+frag_keyframe+empty_moov+default_base_moof"],
}


def film(name, seconds):
    """With pictures of 8 Mb/s, and sound beside each of them, or in pieces of 0.5, 1, and 2 s."""
    return media.make(
        f"{seconds}-s-{name}",
        *["-f", "lavfi", "-i", f"color=gray:s=320x180:r=25:d={seconds},noise=alls=100:allf=t"],
        *media.music(seconds),
        *["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "8M", "-maxrate", "8M"],
        *["-bufsize", "4M", "-g", "50", "-c:a", "aac", "-b:a", "160k", *FILMS[name]],
    )

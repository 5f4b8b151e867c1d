"""`tapedeck convert`, as a user runs it."""

import os
import subprocess

from mp3 import read_id3
from mp3_stream import Stream
from workshop import RELEASE

TAPEDECK = RELEASE / "tapedeck"


def as_text(argument):
    return os.fsdecode(argument) if isinstance(argument, bytes) else str(argument)


class Folder:
    """A folder to convert in."""

    def __init__(self, path):
        self.path = path

    def run(self, *arguments, **options):
        return subprocess.run(
            [str(TAPEDECK), "convert", *map(as_text, arguments)],
            cwd=self.path,
            capture_output=True,
            timeout=300,
            **options,
        )

    def convert(self, source, *arguments):
        """The path of the MP3; what was said is in `said`."""
        result = self.run(source, "out.mp3", "--force", *arguments)
        self.said = result.stderr.decode()
        assert result.returncode == 0, self.said
        assert result.stdout == b""
        mp3 = self.path / "out.mp3"
        data = mp3.read_bytes()
        assert Stream(data[read_id3(data)[1] :]).faults == []
        return mp3

    def refuse(self, source, code, *arguments):
        """The conversion fails with that code and leaves nothing; returns what was said."""
        before = sorted(self.path.iterdir())
        result = self.run(source, "refused.mp3", *arguments)
        said = result.stderr.decode()
        assert (result.returncode, f"({code}:" in said) == (1, True), said
        assert sorted(self.path.iterdir()) == before
        return said

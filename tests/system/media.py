"""Sample videos, made once for all tests by the ffmpeg program."""

import pathlib
import subprocess
import tempfile

_folder = None


def folder():
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="tapedeck-media-")
    return pathlib.Path(_folder.name)


def _make(name, *arguments):
    path = folder() / name
    if not path.exists():
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *arguments, str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    return path


def _sound(seconds):
    return ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=44100:duration={seconds}"]


def _picture(seconds):
    return ["-f", "lavfi", "-i", f"color=c=blue:s=64x64:r=5:d={seconds}"]


def clip(seconds=5):
    """A video with sound."""
    return _make(
        f"clip-{seconds}.mp4",
        *_picture(seconds),
        *_sound(seconds),
        *["-c:v", "mpeg4", "-c:a", "aac", "-b:a", "64k", "-shortest"],
    )


def long_clip(minutes=60):
    """Sound for which a conversion takes a while, made quickly: one minute again and again."""
    minute = clip(60)
    return _make(
        f"long-{minutes}.mp4",
        *["-stream_loop", str(minutes - 1), "-i", str(minute), "-map", "0:a", "-c", "copy"],
    )


def silent_clip():
    """A video without sound."""
    return _make("silent.mp4", *_picture(2), "-c:v", "mpeg4", "-an")


def not_media():
    path = folder() / "text.mp4"
    path.write_text("This is no video at all.\n" * 100)
    return path


def seconds_of(path):
    """How long the sound is, by decoding all of it."""
    pcm = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", "8000", "-"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    ).stdout
    return len(pcm) / 16000

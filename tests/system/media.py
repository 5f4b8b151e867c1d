"""Sample videos, made once for all tests by the ffmpeg program."""

import pathlib
import subprocess
import tempfile
import threading

_folder = None
_lock = threading.Lock()  # a test's clients ask at once; half a video is another video


def folder():
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="tapedeck-media-")
    return pathlib.Path(_folder.name)


def make(name, *arguments):
    """A file made by ffmpeg with these arguments, or the same one made before."""
    with _lock:
        path = folder() / name
        if not path.exists():
            subprocess.run(
                ["ffmpeg", "-v", "error", "-y", *arguments, str(path)],
                check=True,
                stdin=subprocess.DEVNULL,
            )
    return path


def sound(seconds):
    return ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=44100:duration={seconds}"]


def music(seconds, rate_hz=44100, layout="stereo"):
    """Sound that encoders have to work for: chirps and noise, another in each channel."""
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    chirps = "|".join(
        f"0.3*sin({200 + 90 * i}*t*(1+t))+0.05*(random({i})-0.5)" for i in range(channels)
    )
    return ["-f", "lavfi", "-i", f"aevalsrc={chirps}:s={rate_hz}:c={layout}:d={seconds}"]


def picture(seconds):
    return ["-f", "lavfi", "-i", f"color=c=blue:s=64x64:r=5:d={seconds}"]


def clip(seconds=5):
    """A video with sound."""
    return make(
        f"clip-{seconds}.mp4",
        *picture(seconds),
        *sound(seconds),
        *["-c:v", "mpeg4", "-c:a", "aac", "-b:a", "64k", "-shortest"],
    )


def long_clip(minutes=60):
    """Sound for which a conversion takes a while, made quickly: one minute again and again."""
    minute = clip(60)
    return make(
        f"long-{minutes}.mp4",
        *["-stream_loop", str(minutes - 1), "-i", str(minute), "-map", "0:a", "-c", "copy"],
    )


def silent_clip():
    """A video without sound."""
    return make("silent.mp4", *picture(2), "-c:v", "mpeg4", "-an")


def not_media():
    path = folder() / "text.mp4"
    path.write_text("This is no video at all.\n" * 100)
    return path


def pcm(path, *arguments):
    """The sound as ffmpeg decodes it, 16 bits a sample, channels interleaved."""
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), *arguments, "-f", "s16le", "-"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    ).stdout


def seconds_of(path):
    """How long the sound is, by decoding all of it."""
    return len(pcm(path, "-ac", "1", "-ar", "8000")) / 16000


def loudest_frequency_of(path):
    """In Hz, of a file with one steady tone: its zero crossings."""
    samples = memoryview(pcm(path, "-ac", "1", "-ar", "16000")).cast("h")[16000:48000]
    rises = sum(1 for a, b in zip(samples, samples[1:]) if a < 0 <= b)
    return rises / (len(samples) / 16000)

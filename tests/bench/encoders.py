"""Sound as files of floats, and MP3s of it: by ffmpeg, and by the engine's encoders side by side. All
are rows of frames, without Info frame or tag."""

import dataclasses
import subprocess

from bench import ROOT

PROGRAM = ROOT / "build-release" / "tests" / "bench" / "bench_encode"
# As in tests/support/sound.h.
KINDS = ["music", "speech", "noise", "tones", "silence", "in turn", "steps"]
ENCODERS = 3


def samples_per_frame(rate):
    return 1152 if rate >= 32000 else 576


def make_sound(kind, rate, channels, frames, path):
    with open(path, "wb") as file:
        subprocess.run([PROGRAM, "sound", str(KINDS.index(kind)), str(rate), str(channels), str(frames)],
                       check=True, stdout=file)


def is_vbr(quality):
    return quality[0] == "v"


def encode_by_ffmpeg(sound, rate, channels, quality, mp3):
    """With `quality` a bitrate in kb/s, or v0 to v9."""
    how = ["-q:a", quality[1:]] if is_vbr(quality) else ["-b:a", f"{quality}k"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ar", str(rate), "-ac", str(channels),
                    "-i", sound, "-c:a", "libmp3lame", *how,
                    "-write_id3v2", "0", "-id3v2_version", "0", "-write_xing", "0", mp3],
                   check=True, stdin=subprocess.DEVNULL)
    return mp3.read_bytes()


def decode_by_ffmpeg(mp3, sound):
    subprocess.run(["ffmpeg", "-v", "quiet", "-y", "-f", "mp3", "-i", mp3, "-c:a", "pcm_f32le", "-f", "f32le", sound],
                   check=True, stdin=subprocess.DEVNULL)


@dataclasses.dataclass
class Join:
    frame: int  # the first of the later encoder
    began_at: int  # with which that one began
    planned: int  # where the earlier one's segment ended
    passed_over: int  # segments that the earlier one went on through; their encoders' work is lost

    @property
    def run_on(self):
        return self.frame - self.planned

    @property
    def lead_in(self):
        return self.planned - self.began_at


def encode_side_by_side(sound, rate, channels, quality, mp3):
    told = subprocess.run([PROGRAM, "pool", sound, str(rate), str(channels), quality, str(ENCODERS), mp3],
                          check=True, capture_output=True, text=True).stdout
    return mp3.read_bytes(), [Join(*map(int, line.split())) for line in told.splitlines()]

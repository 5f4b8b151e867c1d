"""What several encoders make, decoded, beside what ffmpeg's one encoder makes, and both beside the source.

All VBR qualities and some bitrates × sample rates × kinds of sound (a voice, and steps from silence to
full loudness among them), cut into the shortest segments there are, so that joins are many. It ends
with 1 where windows of 20 ms or 1 s are noisier than one encoder's, where the error clicks at a join,
or where a stream breaks the standard's rules (tests/system/mp3_stream.py). First, streams that were
broken on purpose: each must be refused."""

import argparse
import collections
import concurrent.futures
import dataclasses
import math
import os
import pathlib
import subprocess
import sys
import tempfile

from bench import ROOT, median, table
from encoders import decode_by_ffmpeg, encode_by_ffmpeg, encode_side_by_side, is_vbr, make_sound, samples_per_frame
from mp3_stream import Stream, with_main_data_begin

PROGRAM = ROOT / "build-release" / "tests" / "bench" / "bench_quality"
SOUNDS = ["music", "speech", "voice", "noise", "tones", "silence", "steps"]
RATES = [44100, 48000, 32000, 22050, 16000, 8000]
VBR = [f"v{quality}" for quality in range(10)]
CBR = {44100: ["128", "320"], 48000: ["192"], 32000: ["64"], 22050: ["64"], 16000: ["32"], 8000: ["16"]}
MONO = ["v0", "v2", "v5", "v9"]
FRAMES = 2000

# In dB, of several encoders beside one; errors 50 dB below the sound in a window are equally good. In VBR a frame
# may come out with other scale factors, now better and now worse; one step of them is a factor of 2 at most
# (ISO/IEC 11172-3, 2.4.3.4: scalefac_multiplier), which is 6.02 dB of noise.
LOSS_20_MS_MAX = 6.02
LOSS_1_S_MAX = 0.2
CLICK_MAX = 1.0
ALIKE = 200.0  # to the bit

TEXT = ("The worker reads a film from its first byte to its last. It asks for a piece, waits for it, and takes "
        "the sound apart; pictures are left where they are. Whoever listens hears a voice, perhaps, or rain, "
        "or nobody at all for half a minute. Then somebody laughs! Several encoders share the work: each takes "
        "forty seconds, begins a little early, and goes on until the next one says the very same. ")


def make(sound, rate, channels, path):
    if sound != "voice":
        make_sound(sound, rate, channels, FRAMES, path)
        return
    text = path.with_suffix(".txt")
    text.write_text(TEXT * 3)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"flite=voice=slt:textfile={text}",
                    "-ar", str(rate), "-ac", str(channels), "-t", str(FRAMES * samples_per_frame(rate) / rate),
                    "-f", "f32le", path], check=True, stdin=subprocess.DEVNULL)


# ---- One MP3 beside another ----


@dataclasses.dataclass
class AtJoin:
    likeness: float  # of the two, as a ratio of sound to difference, in the second around
    click: float  # the highest error beside one encoder's
    stands_out: float  # from the errors around it, more than one encoder's


@dataclasses.dataclass
class Heard:
    one_snr: float
    several_snr: float
    loss_20_ms: float
    gain_20_ms: float
    loss_1_s: float
    gain_1_s: float
    likeness: float  # of the two, in the second in which it is least
    joins: list
    has_length: bool

    def refusals(self):
        """Why this is not as good as what one encoder makes."""
        clicks = [join for join in self.joins if join.click > CLICK_MAX or join.stands_out > CLICK_MAX]
        return [what for what, is_so in (
            ("length", not self.has_length), ("20 ms", self.loss_20_ms > LOSS_20_MS_MAX),
            ("1 s", self.loss_1_s > LOSS_1_S_MAX), ("click", clicks)) if is_so]


def decoded(data, path):
    mp3 = path.with_suffix(".mp3")
    mp3.write_bytes(data)
    decode_by_ffmpeg(mp3, path)
    return path


def listen(source, rate, channels, one, several, frames):
    """`one` and `several` are MP3s; joins are looked at before each of `frames`."""
    one_sound = decoded(one, source.with_suffix(".one.f32"))
    several_sound = one_sound if several == one else decoded(several, source.with_suffix(".several.f32"))
    told = subprocess.run([PROGRAM, source, one_sound, several_sound, str(rate), str(channels), *map(str, frames)],
                          check=True, capture_output=True, text=True).stdout.splitlines()
    whole, *joins = ([float(number) for number in line.split()] for line in told)
    return Heard(*whole, [AtJoin(*join) for join in joins], one_sound.stat().st_size == several_sound.stat().st_size)


# ---- Broken on purpose ----


def rebuilt(stream, reservoir):
    """The stream with other bytes in its slots."""
    return b"".join(stream.data[frame.at : frame.at + frame.size - frame.slot_size]
                    + reservoir[frame.slot_at : frame.slot_end] for frame in stream.frames)


def with_side_info_plus(stream, frame, bit, count, value):
    """A field of the side information increased."""
    at, size = frame.at + 4, frame.layout.size
    side_info = frame.side_info + (value << (size * 8 - bit - count))
    return stream.data[:at] + side_info.to_bytes(size, "big") + stream.data[at + size :]


class Breaker:
    """Breaks one encoder's stream at frame `at`."""

    def __init__(self, source, rate, channels, quality, at):
        self.source, self.rate, self.channels, self.quality = source, rate, channels, quality
        self.mp3 = source.with_suffix(".broken.mp3")
        self.stream = Stream(encode_by_ffmpeg(source, rate, channels, quality, self.mp3))
        self.at = next(i for i in range(at, at + 300) if self.stream.frames[i].main_data_begin > 20)
        self.frame = self.stream.frames[self.at]

    def until(self, frame):
        return self.stream.data[: self.stream.frames[frame].at]

    def since(self, frame):
        return self.stream.data[self.stream.frames[frame].at :]

    def begun_at(self, samples):
        """What an encoder makes that begins there."""
        tail = self.source.with_suffix(".tail")
        tail.write_bytes(self.source.read_bytes()[samples * 4 * self.channels :])
        return Stream(encode_by_ffmpeg(tail, self.rate, self.channels, self.quality, self.mp3))

    def begun_late(self, lead_in_frames, early_samples=0):
        """The frames of an encoder that began so many frames before, put behind those of the first."""
        begin = (self.at - lead_in_frames) * samples_per_frame(self.rate) - early_samples
        later = self.begun_at(begin)
        return self.until(self.at) + later.data[later.frames[lead_in_frames].at :]

    def without_slots(self):
        """Zeros in place of the main data that lie in slots before the frame's own."""
        reservoir = bytearray(self.stream.reservoir)
        reservoir[self.frame.main_data_at : self.frame.slot_at] = bytes(self.frame.main_data_begin)
        return rebuilt(self.stream, reservoir)

    def louder(self):
        start = self.frame.layout.granules[0]
        return with_side_info_plus(self.stream, self.frame, start + 21, 8, 4)

    def all(self):
        at, begin = self.at, self.frame.main_data_begin
        return {
            "no lead-in": self.begun_late(0),
            "a lead-in of 1 frame": self.begun_late(1),
            "half a frame early": self.begun_late(0, samples_per_frame(self.rate) // 2),
            "a frame left out": self.until(at) + self.since(at + 1),
            "a frame twice": self.until(at + 1) + self.since(at),
            "two frames exchanged": self.until(at) + self.since(at + 1)[: self.stream.frames[at + 1].size]
            + self.since(at)[: self.frame.size] + self.since(at + 2),
            "main_data_begin 1 too small": with_main_data_begin(self.stream.data, self.frame, begin - 1),
            "main_data_begin 1 too large": with_main_data_begin(self.stream.data, self.frame, begin + 1),
            "main_data_begin 0": with_main_data_begin(self.stream.data, self.frame, 0),
            "zeros in the reservoir": self.without_slots(),
            "a granule 6 dB louder": self.louder(),
        }


def show_broken(folder):
    """Whether all were refused."""
    rows = [("broken on purpose", "of", "20 ms, dB", "1 s, dB", "click, dB", "stands out, dB", "refused for", "rules")]
    source, rate, channels = folder / "broken.f32", 44100, 2
    are_refused = True
    for sound, quality in (("music", "v2"), ("voice", "v5"), ("noise", "v0"), ("steps", "128")):
        make(sound, rate, channels, source)
        breaker = Breaker(source, rate, channels, quality, 784)
        for name, data in {"nothing": breaker.stream.data, **breaker.all()}.items():
            heard = listen(source, rate, channels, breaker.stream.data, data, [breaker.at])
            join, refusals = heard.joins[0], heard.refusals()
            faults = Stream(data).faults
            are_refused = are_refused and bool(refusals) == (name != "nothing")
            rows.append((name, f"{sound} {quality}", f"{heard.loss_20_ms:.2f}", f"{heard.loss_1_s:.2f}",
                         f"{join.click:.2f}", f"{join.stands_out:.2f}", ", ".join(refusals) or "–",
                         "broken" if faults else "kept"))
    table(rows)
    print(f"  {'All were refused, and nothing else.' if are_refused else 'NOT ALL WERE REFUSED, OR TOO MUCH.'}\n")
    return are_refused


# ---- All settings ----


@dataclasses.dataclass
class Case:
    sound: str
    rate: int
    channels: int
    quality: str
    frames: int = 0
    same: int = 0
    is_identical: bool = False
    faults: list = dataclasses.field(default_factory=list)
    joins: list = dataclasses.field(default_factory=list)
    heard: Heard = None

    def __str__(self):
        return f"{self.sound}, {self.rate} Hz, {self.channels} channels, {self.quality}"


def compare(case, source):
    arguments = source, case.rate, case.channels, case.quality, source.with_suffix(".mp3")
    theirs = Stream(encode_by_ffmpeg(*arguments))
    data, case.joins = encode_side_by_side(*arguments)
    ours = Stream(data)
    case.frames, case.faults = len(ours.frames), ours.faults
    case.is_identical = ours.data == theirs.data
    if len(ours.frames) != len(theirs.frames):
        case.faults.append(f"{len(ours.frames)} frames, ffmpeg makes {len(theirs.frames)}")
    else:
        case.same = sum(case.is_identical or ours.content(i) == theirs.content(i) for i in range(case.frames))
    case.heard = listen(source, case.rate, case.channels, theirs.data, data, [join.frame for join in case.joins])


def measure(cases, folder):
    """Of one sound."""
    first = cases[0]
    source = folder / f"{first.sound}-{first.rate}-{first.channels}.f32"
    make(first.sound, first.rate, first.channels, source)
    for case in cases:
        compare(case, source)
    for path in folder.glob(f"{source.stem}.*"):
        path.unlink()
    return cases


def percent(part, whole):
    return f"{math.floor(100000 * part / whole) / 1000:.3f}".rstrip("0").rstrip(".") if whole else ""


def print_same(cases):
    print("  VBR: how many of a hundred frames say the same as one encoder's (mono and stereo):")
    sums = collections.defaultdict(lambda: [0, 0])
    for case in cases:
        for key in ((case.rate, case.sound), ("all", "")):
            sums[key, case.quality][0] += case.same
            sums[key, case.quality][1] += case.frames
    rows = [("Hz", "sound", *(quality.upper() for quality in VBR))]
    for key in [*dict.fromkeys((case.rate, case.sound) for case in cases), ("all", "")]:
        rows.append((*key, *(percent(*sums[key, quality]) for quality in VBR)))
    table(rows)


def print_heard(cases):
    print("\n  Decoded, in dB: signal to noise of one encoder and of several, the most that several are worse and "
          "better in any window, how alike both are in the second in which they are least;\n  how many joins are alike to the bit "
          "for a second, how alike the others are, how much higher the error's peak is, and stands out:")
    rows = [("quality", "MP3s", "frames", "one", "several", "20 ms: worse", "better", "1 s: worse", "better",
             "alike", "joins", "alike", "else: least", "median",
             "click", "stands out")]
    qualities = sorted({case.quality for case in cases}, key=lambda quality: (is_vbr(quality), quality.zfill(4)))
    for quality in [*qualities, "all"]:
        those = [case for case in cases if quality in (case.quality, "all")]
        joins = [join for case in those for join in case.heard.joins]
        unlike = [join.likeness for join in joins if join.likeness < ALIKE]
        rows.append((
            quality, len(those), sum(case.frames for case in those),
            f"{sum(case.heard.one_snr for case in those) / len(those):.3f}",
            f"{sum(case.heard.several_snr for case in those) / len(those):.3f}",
            *(f"{max(getattr(case.heard, name) for case in those):.3f}"
              for name in ("loss_20_ms", "gain_20_ms", "loss_1_s", "gain_1_s")),
            f"{min(case.heard.likeness for case in those):.1f}", len(joins), len(joins) - len(unlike), f"{min(unlike):.1f}" if unlike else "–",
            f"{median(unlike):.1f}" if unlike else "–", f"{max(join.click for join in joins):.2f}",
            f"{max(join.stands_out for join in joins):.2f}"))
    table(rows)


def judge(cases):
    """What is not as it must be."""
    frames, faults = sum(case.frames for case in cases), [fault for case in cases for fault in case.faults]
    constant = [case for case in cases if not is_vbr(case.quality)]
    print(f"\n  {len(faults)} faults by the standard's rules in {frames} frames of {len(cases)} MP3s; "
          f"{sum(case.is_identical for case in constant)} of {len(constant)} of a constant bitrate are ffmpeg's to the "
          "byte.")
    wrong = [f"{case}: {fault}" for case in cases for fault in case.faults]
    wrong += [f"{case}: {', '.join(case.heard.refusals())}" for case in cases if case.heard.refusals()]
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench quality", description=__doc__)
    parser.add_argument("--rate", type=int, action="append", help="only these sample rates, in Hz")
    parser.add_argument("--sound", action="append", help="only these kinds of sound")
    parser.add_argument("--quality", action="append", help="only these: v0 to v9, or kb/s")
    chosen = parser.parse_args()

    def is_wanted(quality, channels):
        return quality in (chosen.quality or [quality]) and (channels == 2 or quality in MONO)

    groups = [[Case(sound, rate, channels, quality) for quality in VBR + CBR[rate] if is_wanted(quality, channels)]
              for rate in chosen.rate or RATES for sound in chosen.sound or SOUNDS for channels in (1, 2)]
    with (tempfile.TemporaryDirectory(dir=ROOT) as name,
          concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool):
        folder = pathlib.Path(name)
        are_refused = show_broken(folder)
        done = pool.map(lambda cases: measure(cases, folder), filter(None, groups))
        cases = [case for group in done for case in group]
    print_same(cases)
    print_heard(cases)
    wrong = judge(cases)
    for what in wrong:
        print(f"  NOT AS IT MUST BE: {what}")
    sys.exit(0 if are_refused and not wrong else 1)


main()

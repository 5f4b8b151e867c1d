"""Every frame of several encoders' MP3s beside those of ffmpeg's one encoder.

All CBR bitrates × sample rates × mono and stereo × five kinds of sound, cut into the shortest segments
there are, so that joins are many. Prints a line for each rate and kind of sound, one for each rate with
what the joins were like, and every join after which frames differ, with the cause. It ends with 1 where
that is more than one join in a thousand, is anywhere but in tones or silence, or where joins are too
few to tell."""

import argparse
import collections
import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import sys
import tempfile

from bench import ROOT, median, table
from encoders import encode_by_ffmpeg, encode_side_by_side, make_sound, samples_per_frame
from mp3_stream import Stream, tables_mask

SOUNDS = ["music", "speech", "noise", "tones", "silence"]
NEVER_DIFFERENT = ["music", "speech", "noise"]
MPEG_1 = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
MPEG_2 = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
# LAME knows no more than 64 kb/s at 8 kHz.
RATES = {44100: MPEG_1, 48000: MPEG_1, 32000: MPEG_1, 22050: MPEG_2, 16000: MPEG_2, 8000: MPEG_2[:8]}
FRAMES = 2000
JOINS_MIN = 2000
DIFFERENT_MAX = 1 / 1000


@dataclasses.dataclass
class Case:
    sound: str
    rate: int
    channels: int
    kbps: int
    frames: int = 0
    theirs: int = 0
    identical: int = 0
    faults: list = dataclasses.field(default_factory=list)
    joins: list = dataclasses.field(default_factory=list)
    different: list = dataclasses.field(default_factory=list)  # (join, sentence)

    def __str__(self):
        return f"{self.sound}, {self.rate} Hz, {self.channels} channels, {self.kbps} kb/s"


def whole(stream, frame):
    return stream.data[frame.at : frame.at + frame.size]


def runs_that_differ(ours, theirs):
    """(first, last) of frames in a row that are not the same byte for byte."""
    runs = []
    for i, (one, other) in enumerate(zip(ours.frames, theirs.frames)):
        if whole(ours, one) == whole(theirs, other):
            continue
        if runs and runs[-1][1] == i - 1:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return runs


def cause_of(ours, theirs, frame, join):
    """In what the encoder that took over was not in the state of the one before, as far as frames tell."""
    one, other = ours.frames[frame], theirs.frames[frame]
    where = f"{frame - join.frame} frames behind the join"
    ours_says, theirs_says = ours.content(frame), theirs.content(frame)
    if ours_says == theirs_says:
        what = "bits left over" if one.main_data_begin != other.main_data_begin else "filler"
        return f"other {what}, {where}"
    if ours_says[3] == theirs_says[3] and not (one.side_info ^ other.side_info) & ~tables_mask(one):
        # A table's number is left from what LAME tried before, and where it began to try is a state.
        return f"the same main data, another table named where there are no values: LAME's search for the step size "\
               f"began elsewhere, {where}"
    if one.main_data_bits != other.main_data_bits:
        return f"{one.main_data_bits} bits in place of {other.main_data_bits}: LAME expected another sound, {where}"
    return f"the same number of bits, used otherwise: LAME expected another sound, {where}"


def compare(case, sound, mp3):
    theirs = Stream(encode_by_ffmpeg(sound, case.rate, case.channels, str(case.kbps), mp3))
    data, case.joins = encode_side_by_side(sound, case.rate, case.channels, str(case.kbps), mp3)
    ours = Stream(data)
    case.frames, case.theirs, case.faults = len(ours.frames), len(theirs.frames), ours.faults
    runs = runs_that_differ(ours, theirs)
    case.identical = case.frames - sum(last - first + 1 for first, last in runs)
    seen = set()
    for first, _ in runs:
        before = [join for join in case.joins if join.frame <= first]
        # What differs at once, and again later, is one join.
        if before and before[-1].frame not in seen:
            seen.add(before[-1].frame)
            case.different.append((before[-1], cause_of(ours, theirs, first, before[-1])))
        elif not before:
            case.faults.append(f"frame {first} differs, and no join is before it")
    return case


def measure(cases, folder):
    """Of one sound."""
    first = cases[0]
    name = f"{first.sound}-{first.rate}-{first.channels}"
    sound, mp3 = folder / f"{name}.f32", folder / f"{name}.mp3"
    make_sound(first.sound, first.rate, first.channels, FRAMES, sound)
    for case in cases:
        compare(case, sound, mp3)
    sound.unlink()
    return cases


def print_frames(cases):
    rows = [("Hz", "sound", "MP3s", "frames", "identical", "%", "joins", "passed over", "differ later")]
    kinds = collections.defaultdict(list)
    for case in cases:
        kinds[case.rate, case.sound].append(case)
    for (rate, sound), those in [*kinds.items(), (("all", ""), cases)]:
        joins = [join for case in those for join in case.joins]
        frames, identical = sum(case.frames for case in those), sum(case.identical for case in those)
        rows.append((rate, sound, len(those), frames, identical, f"{100 * identical / frames:.3f}", len(joins),
                     sum(join.passed_over > 0 for join in joins), sum(len(case.different) for case in those)))
    table(rows)


def print_joins(cases):
    print("\n  Joins, in frames (the lead-in is 98 at least, equal frames before a join 50; segments end later "
          "where nobody was free):")
    rows = [("Hz", "segment", "s", "lead-in", "s", "run-on: median", "99 of 100", "longest", "its s", "more than 98",
             "passed over")]
    for rate in dict.fromkeys(case.rate for case in cases):
        joins = [join for case in cases if case.rate == rate for join in case.joins]
        segments = [b.planned - a.planned for case in cases if case.rate == rate
                    for a, b in itertools.pairwise(case.joins) if not b.passed_over]
        lead_ins = [join.lead_in for join in joins if not join.passed_over]
        run_ons = sorted(join.run_on for join in joins)
        seconds = samples_per_frame(rate) / rate
        rows.append((rate, min(segments), f"{min(segments) * seconds:.1f}", f"{min(lead_ins)} to {max(lead_ins)}",
                     f"{max(lead_ins) * seconds:.1f}", f"{median(run_ons):.0f}", run_ons[len(run_ons) * 99 // 100],
                     run_ons[-1], f"{run_ons[-1] * seconds:.1f}", sum(run_on > 98 for run_on in run_ons),
                     sum(join.passed_over > 0 for join in joins)))
    table(rows)


def judge(cases, is_short):
    """What is not as it must be."""
    joins = sum(len(case.joins) for case in cases)
    different = [(case, join, cause) for case in cases for join, cause in case.different]
    print(f"\n  {joins} joins, {len(different)} with frames that differ later:")
    for case, join, cause in different:
        print(f"  {case}: joined before frame {join.frame}, {join.run_on} frames late; {cause}")
    wrong = [f"{case}: {fault}" for case in cases for fault in case.faults]
    wrong += [f"{case}: {case.frames} frames, ffmpeg makes {case.theirs}" for case in cases
              if case.frames != case.theirs]
    wrong += [f"{case}: differs in {case.sound}" for case, _, _ in different if case.sound in NEVER_DIFFERENT]
    if len(different) > max(1, DIFFERENT_MAX * joins):
        wrong.append(f"more than one join in {1 / DIFFERENT_MAX:.0f} differs later")
    if joins < JOINS_MIN and not is_short:
        wrong.append(f"fewer than {JOINS_MIN} joins")
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench identity", description=__doc__)
    parser.add_argument("--rate", type=int, action="append", help="only these sample rates, in Hz")
    parser.add_argument("--sound", action="append", help="only these kinds of sound, or steps (not among all)")
    parser.add_argument("--every", type=int, default=1, help="only every n-th bitrate")
    chosen = parser.parse_args()
    groups = [[Case(sound, rate, channels, kbps) for kbps in RATES[rate][:: chosen.every]]
              for rate in chosen.rate or RATES for sound in chosen.sound or SOUNDS for channels in (1, 2)]
    with (tempfile.TemporaryDirectory(dir=ROOT) as folder,
          concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool):
        done = pool.map(lambda cases: measure(cases, pathlib.Path(folder)), groups)
        cases = [case for group in done for case in group]
    print_frames(cases)
    print_joins(cases)
    wrong = judge(cases, chosen.every > 1 or chosen.rate or chosen.sound)
    for what in wrong:
        print(f"  NOT AS IT MUST BE: {what}")
    sys.exit(1 if wrong else 0)


main()

"""Every frame of several encoders' MP3s beside those of ffmpeg's one encoder.

All CBR bitrates and some VBR qualities × sample rates × mono and stereo × five kinds of sound, cut
into the shortest segments there are, so that joins are many. Prints a line for each rate and kind, and names
every join after which frames differ."""

import argparse
import itertools
import pathlib
import subprocess
import tempfile

from bench import ROOT, table

KINDS = ["music", "speech", "noise", "tones", "silence"]
MPEG_1 = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
MPEG_2 = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
RATES = {44100: MPEG_1, 48000: MPEG_1, 32000: MPEG_1, 22050: MPEG_2, 16000: MPEG_2, 8000: MPEG_2[:8]}
QUALITIES = ["v0", "v2", "v5", "v9"]
PROGRAM = ROOT / "build-release" / "tests" / "bench" / "bench_identity"
FRAMES = 2000
ENCODERS = 3


def encode_by_ffmpeg(sound, rate, channels, quality, mp3):
    how = ["-q:a", quality[1:]] if quality[0] == "v" else ["-b:a", f"{quality}k"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ar", str(rate), "-ac", str(channels),
                    "-i", sound, "-c:a", "libmp3lame", *how, "-write_id3v2", "0", "-id3v2_version", "0", mp3],
                   check=True, stdin=subprocess.DEVNULL)


def compare(kind, rate, channels, quality, sound, mp3):
    encode_by_ffmpeg(sound, rate, channels, quality, mp3)
    told = subprocess.run([PROGRAM, "join", str(kind), str(rate), str(channels), str(FRAMES), quality,
                           str(ENCODERS), mp3], check=True, capture_output=True, text=True).stdout
    return [int(number) for number in told.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, action="append", help="only these sample rates, in Hz")
    parser.add_argument("--every", type=int, default=1, help="only every n-th bitrate")
    chosen = parser.parse_args()
    rows = [("Hz", "sound", "CBR: frames", "identical", "joins", "late", "VBR: frames", "same", "bytes", "joins", "late")]
    different, all_joins = [], 0
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        sound, mp3 = pathlib.Path(folder) / "sound.f32", pathlib.Path(folder) / "other.mp3"
        for rate, kind in itertools.product(chosen.rate or RATES, range(len(KINDS))):
            sums = {False: [0] * 6, True: [0] * 6}
            for channels in (1, 2):
                with open(sound, "wb") as file:
                    subprocess.run([PROGRAM, "sound", str(kind), str(rate), str(channels), str(FRAMES)],
                                   check=True, stdout=file)
                for quality in [str(kbps) for kbps in RATES[rate][::chosen.every]] + QUALITIES:
                    numbers = compare(kind, rate, channels, quality, sound, mp3)
                    frames, theirs, equal, is_identical, joins, late, first = numbers
                    is_vbr = quality[0] == "v"
                    counts = (frames, equal, frames if is_identical else 0, joins, late, 0)
                    sums[is_vbr] = [a + b for a, b in zip(sums[is_vbr], counts)]
                    all_joins += joins
                    if frames != theirs or first >= 0 or (not is_vbr and not is_identical):
                        different.append((f"{KINDS[kind]} {rate} Hz, {channels} channels, {quality}",
                                          f"{equal} of {theirs} frames", f"first at {first}"))
            cbr, vbr = sums[False], sums[True]
            rows.append((rate, KINDS[kind], cbr[0], cbr[2], cbr[3], cbr[4], vbr[0], vbr[1], vbr[2], vbr[3], vbr[4]))
    table(rows)
    print(f"  {all_joins} joins; where frames differ:")
    table(different or [("nowhere",)])


main()

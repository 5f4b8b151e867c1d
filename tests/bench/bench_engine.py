"""`tapedeck convert` beside `ffmpeg -vn -c:a libmp3lame` on a film of 20 minutes: time, processor time
and memory. Then memory of films of four hours, and MP3 sound that is copied beside the same sound
encoded anew. Runs alternate, so that a busy machine disturbs both.

    scripts/bench engine
    BENCH_ENGINE=speed,memory,copy scripts/bench engine    some of it

Ends with 1 where an aim is missed."""

import os
import pathlib
import subprocess
import tempfile

import film
from bench import ROOT, end_where_missed, judge, median, spread, table
from measure import cores, run

TAPEDECK = ROOT / "build-release" / "tapedeck"
PARTS = os.environ.get("BENCH_ENGINE", "speed,memory,copy").split(",")
MINUTES = 20
TIMES = 12  # four hours
ROUNDS = 5
COPIES = 4  # of them in each round

WALL_RATIO_MOST = {"128 kb/s": 0.54, "V2": 0.60}
CPU_RATIO_MOST = 1.10
PEAK_MOST_MIB = 64
LONG_PEAK_RATIO_MOST = 1.10
BYTES_PER_SAMPLE_MOST = 60
COPY_RATIO_MOST = 1 / 50

SETTINGS = [
    *((f"{kbps} kb/s", ["--bitrate-kbps", kbps], ["-b:a", f"{kbps}k"]) for kbps in (128, 64, 192, 320)),
    *((f"V{quality}", ["--vbr-quality", quality], ["-q:a", quality]) for quality in (2, 0, 5)),
]


def convert(source, output, *wishes, looks=True):
    output.unlink(missing_ok=True)  # or its end would be measured along
    return run([TAPEDECK, "convert", "--quiet", *wishes, source, output], looks)


def encode_by_ffmpeg(source, output, *wishes, looks=True):
    output.unlink(missing_ok=True)
    command = ["ffmpeg", "-v", "error", "-i", source, "-vn", "-c:a", "libmp3lame"]
    return run([*command, *wishes, output], looks)


def medians(runs):
    return [median(values) for values in zip(*runs)]


# ---- Beside ffmpeg ----


def speed(source, folder):
    rows = [("", "s", "ffmpeg's s", "ratio", "CPU, s", "ffmpeg's", "ratio", "worker, MiB", "with tapedeck", "ffmpeg's",
             "our runs, s", "ffmpeg's")]
    ratios = {}
    for name, ours, theirs in SETTINGS:
        mine, others = [], []
        for _ in range(ROUNDS):
            mine.append(convert(source, folder / "a.mp3", *ours, looks=False))
            others.append(encode_by_ffmpeg(source, folder / "b.mp3", *theirs, looks=False))
        wall, cpu, *_ = medians(mine)
        other_wall, other_cpu, *_ = medians(others)
        seen = convert(source, folder / "a.mp3", *ours)
        other_seen = encode_by_ffmpeg(source, folder / "b.mp3", *theirs)
        ratios[name] = wall / other_wall, cpu / other_cpu, max(seen.one_mib, seen.all_mib)
        rows.append(
            (name, f"{wall:.2f}", f"{other_wall:.2f}", f"{ratios[name][0]:.3f}", f"{cpu:.2f}",
             f"{other_cpu:.2f}", f"{ratios[name][1]:.3f}", f"{seen.one_mib:.1f}", f"{seen.all_mib:.1f}",
             f"{other_seen.one_mib:.1f}", spread(taken.seconds for taken in mine),
             spread(taken.seconds for taken in others))
        )
    print(f"  {MINUTES} minutes of AAC in MP4, median of {ROUNDS}, {os.cpu_count()} cores; memory in a run of its own")
    table(rows)
    for name, wall_most in WALL_RATIO_MOST.items():
        wall, cpu, peak = ratios[name]
        judge(f"{name}: time ÷ ffmpeg's", wall, wall_most, f"{wall:.3f}")
        judge(f"{name}: CPU ÷ ffmpeg's", cpu, CPU_RATIO_MOST, f"{cpu:.3f}")
        judge(f"{name}: most memory, of the worker and with tapedeck, MiB", peak, PEAK_MOST_MIB, f"{peak:.1f}")


# ---- Long films ----


def count_samples(path):
    """The entries of an MP4's tables, of all its tracks."""
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=nb_frames", "-of", "csv=p=0", path]
    return sum(map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()))


def memory(source, folder):
    rows = [("", "20 minutes: worker, MiB", "with tapedeck", "four hours: worker, MiB", "with tapedeck")]
    aims = []
    for kind in ("mkv", "ts", "mp4"):
        short = film.again(folder / f"short.{kind}", source, 1)
        long = film.again(folder / f"long.{kind}", source, TIMES)
        peaks = [convert(path, folder / "a.mp3") for path in (short, long)]
        rows.append((kind, *(f"{mib:.1f}" for taken in peaks for mib in (taken.one_mib, taken.all_mib))))
        grown = peaks[1].one_mib - peaks[0].one_mib
        if kind == "mp4":
            samples = count_samples(long) - count_samples(short)
            size = grown * 2**20 / samples
            aims.append((f"mp4: bytes more for each of {samples} samples more", size, BYTES_PER_SAMPLE_MOST,
                         f"{size:.1f}"))
        else:
            ratio = peaks[1].one_mib / peaks[0].one_mib
            aims.append((f"{kind}: memory for four hours ÷ 20 minutes", ratio, LONG_PEAK_RATIO_MOST,
                         f"{ratio:.3f}"))
            most = max(peaks[1].one_mib, peaks[1].all_mib)
            aims.append((f"{kind}: most memory, of the worker and with tapedeck, MiB", most, PEAK_MOST_MIB, f"{most:.1f}"))
        short.unlink()
        long.unlink()
    table(rows)
    for aim in aims:
        judge(*aim)


# ---- Copies ----


def sources(folder):
    mp3, hour = (film.sound(folder / f"{minutes}.mp3", minutes * 60, "-c:a", "libmp3lame", "-b:a", "128k")
                 for minutes in (MINUTES, 60))
    with_pictures = film.film(folder / "film-mp3.mkv", mp3)
    yield "MKV", film.again(folder / "sound.mkv", mp3, 1)
    yield "MP4", film.again(folder / "sound.mp4", mp3, 1)
    yield "MKV, with pictures", with_pictures
    yield "MP4, with pictures", film.again(folder / "film-mp3.mp4", with_pictures, 1)
    yield "MKV, an hour", film.again(folder / "hour.mkv", hour, 1)


def has_its_frames(output, source):
    """All of them as they are, at the end: in front are our Info frame, and silence where it has to."""
    command = ["ffmpeg", "-v", "error", "-i", source, "-map", "0:a", "-c", "copy", "-write_xing", "0"]
    frames = subprocess.run([*command, "-id3v2_version", "0", "-f", "mp3", "-"], check=True,
                            stdin=subprocess.DEVNULL, capture_output=True).stdout
    return len(frames) > 0 and output.read_bytes().endswith(frames)


def copy(folder):
    rows = [("", "copy, s", "CPU, s", "MiB", "anew, s", "CPU, s", "× faster", "× less CPU", "one core: copy, s",
             "anew, s", "× faster", "frames")]
    aims = []
    output = folder / "a.mp3"
    for name, source in sources(folder):
        found = {}
        for count in (None, 1):
            copied, anew = [], []
            with cores(count):
                for _ in range(ROUNDS if count is None else 1):
                    copied += [convert(source, output, looks=False) for _ in range(COPIES)]
                    anew.append(convert(source, folder / "b.mp3", "--copy", "never"))
            found[count] = medians(copied), medians(anew)
        is_same = has_its_frames(output, source)
        peak = convert(source, output).all_mib
        (wall, cpu, *_), (anew_wall, anew_cpu, *_) = found[None]
        one_wall, one_anew = found[1][0][0], found[1][1][0]
        rows.append(
            (name, f"{wall:.3f}", f"{cpu:.3f}", f"{peak:.1f}", f"{anew_wall:.2f}", f"{anew_cpu:.2f}",
             f"{anew_wall / wall:.1f}", f"{anew_cpu / cpu:.1f}", f"{one_wall:.3f}", f"{one_anew:.2f}",
             f"{one_anew / one_wall:.1f}", "identical" if is_same else "OTHERS")
        )
        ratio = wall / anew_wall
        aims.append((f"{name}: time of a copy ÷ of encoding on all cores", ratio, COPY_RATIO_MOST, f"{ratio:.4f}"))
        aims.append((f"{name}: copies with other frames", 0 if is_same else 1, 0, "0" if is_same else "1"))
    print(f"  {MINUTES} minutes of MP3 at 128 kb/s, copied and encoded anew by tapedeck, {os.cpu_count()} cores")
    table(rows)
    for aim in aims:
        judge(*aim)


def main():
    with tempfile.TemporaryDirectory(prefix="tapedeck-bench-", dir=ROOT) as name:
        folder = pathlib.Path(name)
        if "speed" in PARTS or "memory" in PARTS:
            track = film.sound(folder / "track.mkv", MINUTES * 60, "-c:a", "aac", "-b:a", "160k")
            source = film.film(folder / "film.mp4", track)
        if "speed" in PARTS:
            speed(source, folder)
        if "memory" in PARTS:
            memory(source, folder)
        if "copy" in PARTS:
            copy(folder)
    end_where_missed()


main()

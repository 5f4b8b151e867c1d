"""How loud the MP3s are of which a loudness was asked, by ffmpeg's meter (ebur128).

Some thirty kinds of sound × three targets × four ways to encode. For each kind and target: between what
the loudness lies, as a difference from the target in LU, and the highest true peak in dBTP. What is
further off than 0.2 LU, or higher than -1 dBTP and what an encoder may add, is named below, and why that
is so where docs/engine.md explains it; without such a reason it ends with 1."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from bench import ROOT, sample, table

TAPEDECK = ROOT / "build-release" / "tapedeck"
TARGETS = [-24, -16, -14]
ENCODINGS = [["--bitrate-kbps", "64"], ["--bitrate-kbps", "128"], ["--vbr-quality", "2"], ["--bitrate-kbps", "320"]]
NEAR_LU = 0.2
PEAK_DBTP = -1
# What LAME's rounding and its lowpass make of peaks, with many bits and with few.
PEAK_TOLERANCE_DB, PEAK_TOLERANCE_OF_FEW_BITS_DB = 1.5, 2.2
EXPLAINED = {
    "noise, pink": "steady noise, which few bits make louder",
    "noise, white": "steady noise, which few bits make louder",
    "clicks": "nothing but peaks: out of reach",
}
SECONDS = 30

CHORD = "(sin(1380*t)+sin(1740*t)+0.7*sin(2070*t)+0.2*sin(9000*t))*(0.6+0.4*sin(1.3*t))"
BEAT = (
    "0.8*(random(0)-0.5)*exp(-30*mod(t\\,0.5))+0.5*sin(2*PI*60*t)*exp(-9*mod(t\\,0.5))"
    f"+0.06*{CHORD}"
)
WORDS = "sin(1100*t)*sin(7000*t)*pow(sin(2.2*t)\\,2)*(1-between(mod(t\\,5)\\,4\\,5))"
VOWELS = (
    "(sin(2*PI*130*t+sin(9*t))+0.6*sin(2*PI*520*t)+0.3*sin(2*PI*1700*t)+0.1*(random(1)-0.5))"
    "*max(0\\,sin(2*PI*3.1*t))*gt(sin(2*PI*0.37*t)\\,-0.5)"
)


def signal(*channels, rate=44100, seconds=SECONDS):
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
    return ["-f", "lavfi", "-i", f"aevalsrc={'|'.join(channels)}:s={rate}:c={layout}:d={seconds}"]


def noise(color, amplitude=0.3):
    return ["-f", "lavfi", "-i", f"anoisesrc=color={color}:amplitude={amplitude}:r=44100:d={SECONDS}:seed=1"]


WAV = ["-c:a", "pcm_f32le"]
SOUNDS = {
    "words, mono": ("wav", signal(f"0.2*{WORDS}", rate=48000)),
    "words, very soft": ("wav", signal(f"0.002*{WORDS}", f"0.002*{WORDS}")),
    "words, hardly to be heard": ("wav", signal(f"0.001*{WORDS}", f"0.001*{WORDS}")),
    "words and claps": ("wav", signal(f"0.06*{WORDS}+0.7*between(mod(t\\,4)\\,2\\,2.004)*sin(5000*t)", rate=48000)),
    "vowels": ("wav", signal(f"0.3*{VOWELS}", f"0.3*{VOWELS}")),
    "vowels in noise": ("wav", signal(f"0.2*{VOWELS}+0.02*(random(2)-0.5)", f"0.2*{VOWELS}+0.02*(random(3)-0.5)")),
    "chords": ("flac", signal(f"0.2*{CHORD}", f"0.16*{CHORD}")),
    "chords, soft": ("wav", signal(f"0.01*{CHORD}", f"0.008*{CHORD}")),
    "chords, loud": ("flac", signal(f"0.34*{CHORD}", f"0.34*{CHORD}")),
    "chords, above full scale": ("wav", signal(f"1.5*{CHORD}", f"1.5*{CHORD}")),
    "chords, mono": ("m4a", signal(f"0.2*{CHORD}")),
    "chords, left only": ("wav", signal(f"0.3*{CHORD}", "0")),
    "chords, opposite phases": ("wav", signal(f"0.2*{CHORD}", f"-0.2*{CHORD}")),
    "beat": ("wav", signal(BEAT, BEAT)),
    "beat, clipped": ("wav", [*signal(BEAT, BEAT), "-af", "volume=18dB,alimiter=limit=0.99:level=0"]),
    "beat in an MP3": ("mp3", [*signal(BEAT, BEAT), "-b:a", "128k"]),
    "beat, 5.1": ("mp4", signal(*[BEAT] * 6, rate=48000)),
    "words in the centre of 5.1": (
        "flac",
        signal("0", "0", f"0.4*{WORDS}", "0", "0.01*(random(0)-0.5)", "0", rate=48000),
    ),
    "vowels, 8 kHz": ("wav", signal(f"0.3*{VOWELS}", rate=8000)),
    "chords, 11.025 kHz": ("wav", signal(f"0.2*{CHORD}", rate=11025)),
    "vowels, 16 kHz": ("wav", signal(f"0.3*{VOWELS}", f"0.2*{VOWELS}", rate=16000)),
    "beat, 22.05 kHz": ("wav", signal(BEAT, BEAT, rate=22050)),
    "beat, 32 kHz": ("wav", signal(BEAT, BEAT, rate=32000)),
    "beat, 96 kHz": ("flac", signal(BEAT, BEAT, rate=96000)),
    "chords, 192 kHz": ("wav", signal(f"0.2*{CHORD}", f"0.2*{CHORD}", rate=192000)),
    "silence with bursts": ("wav", signal(*[f"0.3*{CHORD}*lt(mod(t\\,10)\\,0.4)"] * 2)),
    "soft, then loud": ("wav", signal(*[f"(0.01+0.2*gt(t\\,15))*{CHORD}"] * 2)),
    "silence, then vowels": ("wav", signal(*[f"0.3*{VOWELS}*gt(t\\,20)"] * 2)),
    "tone of 1 kHz": ("wav", signal("0.1*sin(2*PI*1000*t)", "0.1*sin(2*PI*1000*t)")),
    "tone of 50 Hz": ("wav", signal("0.1*sin(2*PI*50*t)", "0.1*sin(2*PI*50*t)")),
    "half a second": ("wav", signal(f"0.2*{CHORD}", f"0.2*{CHORD}", seconds=0.5)),
    "one second": ("wav", signal(f"0.2*{VOWELS}", f"0.2*{VOWELS}", seconds=1)),
    "three seconds": ("wav", signal(BEAT, BEAT, seconds=3)),
    "noise, pink": ("wav", noise("pink")),
    "noise, white": ("wav", noise("white")),
    "clicks": ("wav", signal(*["0.9*lt(mod(t\\,1)\\,0.0002)"] * 2)),
}


def measure(path):
    """Loudness in LUFS, to the thousandth, and true peak in dBTP."""
    told = subprocess.run(
        ["ffmpeg", "-nostats", "-hide_banner", "-i", path, "-vn", "-af"]
        + ["ebur128=peak=true:metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=-", "-f", "null", "-"],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    summary = told.stderr[told.stderr.rindex("Summary:") :]
    loudness = re.findall(r"lavfi\.r128\.I=(\S+)", told.stdout)[-1]
    return float(loudness), float(re.search(r"Peak:\s+(\S+) dBFS", summary)[1])


def convert(source, target, encoding, mp3):
    subprocess.run(
        [TAPEDECK, "convert", "--quiet", "--force", "--loudness-lufs", str(target), *encoding, source, mp3],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    loudness, peak = measure(mp3)
    mp3.unlink()
    return loudness - target, peak


def run(name, folder):
    ending, arguments = SOUNDS[name]
    stem = re.sub(r"\W+", "-", name)
    source = sample(folder / f"{stem}.{ending}", *arguments, *(WAV if ending == "wav" else []))
    loudness, peak = measure(source)
    cells, off = [f"{name} ({loudness:.1f} LUFS, {peak:.1f} dBTP)"], []
    for target in TARGETS:
        found = [convert(source, target, encoding, folder / f"{stem}.out.mp3") for encoding in ENCODINGS]
        least, most = min(error for error, _ in found), max(error for error, _ in found)
        cells += [f"{least:+.2f} {most:+.2f}", f"{max(peak for _, peak in found):.1f}"]
        for encoding, (error, peak) in zip(ENCODINGS, found):
            off.append((name, target, encoding, error, peak))
    source.unlink()
    return cells, off


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench loudness", description=__doc__)
    parser.add_argument("--sound", action="append", help="only sounds with this in their names")
    chosen = parser.parse_args()
    names = [name for name in SOUNDS if not chosen.sound or any(part in name for part in chosen.sound)]
    head = ["sound"]
    for target in TARGETS:
        head += [f"{target} LUFS: LU off", "dBTP"]
    rows, all_of_them = [head], []
    with tempfile.TemporaryDirectory(prefix="tapedeck-bench-") as folder:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for cells, off in pool.map(lambda name: run(name, pathlib.Path(folder)), names):
                rows.append(cells)
                all_of_them += off
    table(rows)
    unexplained = 0
    for name, target, encoding, error, peak in all_of_them:
        tolerance = PEAK_TOLERANCE_OF_FEW_BITS_DB if "64" in encoding else PEAK_TOLERANCE_DB
        if abs(error) <= NEAR_LU and peak <= PEAK_DBTP + tolerance:
            continue
        reason = EXPLAINED.get(name)
        unexplained += reason is None
        print(f"  {name}, {target} LUFS, {' '.join(encoding)}: {error:+.2f} LU, {peak:.1f} dBTP: {reason or 'WHY?'}")
    inside = sum(abs(error) <= NEAR_LU for _, _, _, error, _ in all_of_them)
    print(f"  {inside} of {len(all_of_them)} within {NEAR_LU} LU, {unexplained} unexplained")
    return 1 if unexplained else 0


sys.exit(main())

"""How much faster more cores make `tapedeck convert`: what each thread does, counted in instructions, and
a model of the threads that says how long they take on cores that this machine has not.

- *Instructions* are counted by valgrind's callgrind, a thread at a time, for a short and a longer film
  with one encoder; the difference is what each second of sound takes. What the kernel does for us is not
  among them; `tapedeck` itself, which reads and writes the files, is nearly all kernel, and stands there
  in processor seconds.
- *Waste*: encoders begin early and run on until they agree. Frames that were encoded are counted, for a
  film of 20 minutes and as many encoders as there would be cores (16 at most).
- *The model* plays the threads in steps: each does its part of the sound as fast as its core lets it, but
  none before the one that it waits for, and the decoder only as far ahead as the ring has room. Where more
  threads can run than there are cores, they share them. It is told the numbers above and how fast
  instructions go, and nothing of how long conversions take; for 1 and 2 cores both stand side by side.

Ends with 1 where the model is further than a tenth from what was measured."""

import os
import pathlib
import re
import subprocess
import tempfile
from collections import namedtuple

import film
from bench import ROOT, end_where_missed, judge, median, table
from measure import cores, run

BUILT = ROOT / "build-release"
TAPEDECK, MEDIA = BUILT / "tapedeck", BUILT / "tests" / "bench" / "bench_media"
KBPS = "128"
SECONDS = 1200
COUNTED_SECONDS = (10, 70)
ENCODERS_MOST = 16
CORES = (1, 2, 4, 8, 16, 32)
ROUNDS = 3
MODEL_ERROR_MOST = 0.1

# As in media/segment_plan.h and media/encoder_pool.c, in frames of 1152 samples at 44.1 kHz.
FRAME_S = 1152 / 44100
SEGMENT_HELD, SEGMENT_LEAST = 1470, 392
LEAD_IN = 98
AHEAD = 16 * 8
STEP_S = 0.002

# What a second of sound takes each of them, in seconds of a core.
Costs = namedtuple("Costs", "decode encode write tapedeck")


# ---- Counting ----


def count(source, folder):
    """Millions of instructions of the threads that decode, encode and write."""
    out = folder / "count"
    subprocess.run(
        ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}",
         MEDIA, KBPS, "1", source, folder / "a.mp3"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    totals = []
    for path in sorted(folder.glob("count-*")):
        totals.append(int(re.search(r"^totals: (\d+)", path.read_text(), re.M)[1]) / 1e6)
        path.unlink()
    assert len(totals) == 3, totals
    return totals


def count_threads(folder):
    counts = []
    for seconds in COUNTED_SECONDS:
        track = film.sound(folder / "track.mkv", seconds, "-c:a", "aac", "-b:a", "160k")
        counts.append(count(film.film(folder / "counted.mp4", track), folder))
    span = COUNTED_SECONDS[1] - COUNTED_SECONDS[0]
    return [(longer - short) / span for short, longer in zip(*counts)]


def encode(source, folder, encoders):
    """Frames of the MP3, and frames encoded."""
    command = [MEDIA, KBPS, str(encoders), source, folder / "a.mp3"]
    told = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return [int(number) for number in told.split()]


def speed_of_instructions(source, folder, counted):
    """Millions of instructions in a second of a core, where one encoder has it alone."""
    with cores(1):
        taken = run([MEDIA, KBPS, "1", source, folder / "a.mp3"], looks=False)
    return sum(counted) * SECONDS / taken.cpu_seconds


# ---- The model ----


class Plan:
    """Of segments, as media/segment_plan.c makes it."""

    def __init__(self, frames, encoders):
        self.frames, self.encoders = frames, encoders
        share = -(-frames // encoders)
        rounds = -(-share // SEGMENT_HELD)
        staggered = -(-share // (SEGMENT_HELD * encoders // (encoders - 1))) if encoders > 1 else rounds
        self.is_staggered = staggered < rounds
        self.longest = max(-(-share // staggered), SEGMENT_LEAST) if encoders > 1 else frames
        self.ahead = (encoders - 1) * self.longest
        if self.is_staggered:
            self.ahead = -(-self.longest * (encoders - 1) ** 2 // encoders)

    def end(self, number, begin):
        steps = self.encoders
        if self.is_staggered:
            left = (self.frames - begin) * self.encoders
            steps = min(number + 1, next((steps for steps in range(1, self.encoders)
                                          if steps * (steps + 1) // 2 * self.longest >= left), self.encoders))
        length = max(-(-self.longest * steps // self.encoders), SEGMENT_LEAST)
        return min(begin + length, self.frames)

    def count(self):
        number = end = 0
        while end < self.frames:
            number, end = number + 1, self.end(number, end)
        return number


def share_out(wishes, whole):
    """What nobody wants, others get."""
    shares, left = [0.0] * len(wishes), whole
    for number, i in enumerate(sorted(range(len(wishes)), key=lambda i: wishes[i])):
        shares[i] = min(wishes[i], left / (len(wishes) - number))
        left -= shares[i]
    return shares


class Encoder:
    def __init__(self):
        self.at = self.end = None  # frames; None: it has no segment

    def take(self, begin, end, lead_in):
        self.at, self.end = max(0, begin - lead_in), end


class Model:
    """In frames. Segments are taken in order; who is at the end of one runs on while the next is joined,
    or goes on through it where nobody has taken it."""

    def __init__(self, costs, frames, run_on, core_count):
        self.costs, self.frames, self.run_on, self.cores = costs, frames, run_on, core_count
        self.encoders = [Encoder() for _ in range(min(core_count, ENCODERS_MOST))]
        self.plan = Plan(frames, len(self.encoders))
        self.taken = self.taken_count = 0  # all segments before this frame, and how many
        self.decoded = self.written = self.carried = 0.0
        self.room = self.plan.ahead + AHEAD  # besides what is kept for lead-ins

    def busy(self):
        return [encoder for encoder in self.encoders if encoder.at is not None]

    def hand_out(self):
        for encoder in self.encoders:
            if encoder.at is not None and encoder.at >= encoder.end - 1e-6:
                if encoder.end < self.frames and self.taken <= encoder.end - self.run_on:
                    self.taken = min(self.taken + self.plan.longest, self.frames)
                    encoder.end = self.end_of(self.taken)
                else:
                    encoder.at = None
            if encoder.at is None and self.taken < self.frames:
                begin, self.taken = self.taken, self.plan.end(self.taken_count, self.taken)
                self.taken_count += 1
                encoder.take(begin, self.end_of(self.taken), LEAD_IN if begin else 0)

    def end_of(self, frame):
        return self.frames if frame >= self.frames else min(frame + self.run_on, self.frames)

    def certain(self):
        return min((encoder.at for encoder in self.busy()), default=self.frames)

    def step(self):
        """Each advances by its share of the cores, or as far as it can for now."""
        self.hand_out()
        busy, certain = self.busy(), self.certain()
        decodable = min(self.frames, certain + self.room) - self.decoded
        can = [
            (self.costs.decode, decodable),
            (self.costs.write, certain - self.written),
            (self.costs.tapedeck, self.decoded - self.carried),
            *((self.costs.encode, min(encoder.end, self.decoded) - encoder.at) for encoder in busy),
        ]
        shares = share_out([min(STEP_S, max(0, frames) * FRAME_S * cost) for cost, frames in can],
                           STEP_S * self.cores)
        advanced = [share / (FRAME_S * cost) for share, (cost, _) in zip(shares, can)]
        self.decoded += advanced[0]
        self.written += advanced[1]
        self.carried += advanced[2]
        for encoder, frames in zip(busy, advanced[3:]):
            encoder.at += frames

    def seconds(self):
        steps = 0
        while self.written < self.frames - 0.5:
            self.step()
            steps += 1
        return steps * STEP_S


# ---- What is told ----


def tell_costs(counted, costs):
    total = sum(counted)
    table([
        ("thread", "million instructions a second of sound", "share", "ms of a core"),
        *((f"worker: {name}", f"{millions:.2f}", f"{millions / total:.1%}", f"{cost * 1000:.3f}")
          for name, millions, cost in zip(("decodes", "encodes", "writes"), counted, costs)),
        ("tapedeck", "–", "–", f"{costs.tapedeck * 1000:.3f}"),
    ])
    serial = (sum(costs) - costs.encode) / sum(costs)
    print(f"  in one thread however many cores there are: {serial:.1%} of all, {costs.decode / sum(costs):.1%} "
          f"in the longest such thread")
    print(f"  so no number of encoders is faster than {1 / max(costs.decode, costs.write):.0f} s of sound a second")


def tell_waste(source, folder):
    """Returns frames, and how many a join takes besides the lead-in."""
    rows = [("encoders", "longest segment, frames", "needed", "encoded", "more", "a join")]
    for encoders in sorted({min(count, ENCODERS_MOST) for count in CORES}):
        frames, encoded = encode(source, folder, encoders)
        plan = Plan(frames, encoders)
        joins = plan.count() - 1
        of_a_join = (encoded - frames) / joins if joins else 0
        rows.append((encoders, plan.longest if joins else "–", frames, encoded, f"{encoded / frames - 1:.1%}",
                     f"{of_a_join:.0f}" if joins else "–"))
        if joins:
            run_on = max(0, of_a_join - LEAD_IN)
    table(rows)
    return frames, run_on


def measure(source, folder, count):
    output = folder / "b.mp3"
    taken = []
    with cores(count):
        for _ in range(ROUNDS):
            output.unlink(missing_ok=True)
            taken.append(run([TAPEDECK, "convert", "--quiet", "--bitrate-kbps", KBPS, source, output]))
    return median(one.seconds for one in taken), median(one.own_cpu_seconds for one in taken)


def main():
    with tempfile.TemporaryDirectory(prefix="tapedeck-bench-", dir=ROOT) as name:
        folder = pathlib.Path(name)
        counted = count_threads(folder)
        track = film.sound(folder / "track.mkv", SECONDS, "-c:a", "aac", "-b:a", "160k")
        source = film.film(folder / "film.mp4", track)
        rate = speed_of_instructions(source, folder, counted)
        available = len(os.sched_getaffinity(0))
        measured = {count: measure(source, folder, count) for count in CORES if count <= min(available, 2)}
        start = run([TAPEDECK, "convert", "--quiet", film.film(folder / "short.mp4", film.sound(
            folder / "short.mkv", 1, "-c:a", "aac")), folder / "c.mp3"], looks=False).seconds
        costs = Costs(*(millions / rate for millions in counted), max(measured[1][1], 0.01) / SECONDS)
        print(f"  AAC in MP4 to {KBPS} kb/s; {rate:.0f} million instructions a second")
        tell_costs(counted, costs)
        frames, run_on = tell_waste(source, folder)
    predicted = {count: start + Model(costs, frames, run_on, count).seconds() for count in CORES}
    table([
        ("cores", "encoders", "model, s", "faster than one", "sound a second", "measured, s", "model ÷ measured"),
        *((count, min(count, ENCODERS_MOST), f"{seconds:.2f}", f"{predicted[1] / seconds:.2f}",
           f"{SECONDS / seconds:.0f} s",
           *((f"{measured[count][0]:.2f}", f"{seconds / measured[count][0]:.3f}") if count in measured else "––"))
          for count, seconds in predicted.items()),
    ])
    for count, (seconds, _) in measured.items():
        error = abs(predicted[count] / seconds - 1)
        judge(f"{count} cores: the model's error", error, MODEL_ERROR_MOST, f"{error:.3f}")
    end_where_missed()


main()

"""loudness_lufs: as loud as was asked for, by ffmpeg's meter, and peaks below full scale."""

import json
import re
import socket
import struct
import subprocess
import threading

import pytest

import media
from conversion import TAPEDECK
from mp3 import Mp3

SECONDS = 40


def measure(path):
    """Loudness in LUFS and true peak in dBTP, as ffmpeg measures them."""
    said = subprocess.run(
        ["ffmpeg", "-nostats", "-hide_banner", "-i", path, "-vn", "-af", "ebur128=peak=true"]
        + ["-f", "null", "-"],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    ).stderr
    summary = said[said.rindex("Summary:") :]
    loudness = re.search(r"I:\s+(\S+) LUFS", summary)[1]
    peak = re.search(r"Peak:\s+(\S+) dBFS", summary)[1]
    return float(loudness), float(peak)


def signal(name, *channels, rate_hz=44100, codec=("-c:a", "pcm_s24le")):
    layout = ["mono", "stereo"][len(channels) - 1]
    return media.make(
        name,
        *["-f", "lavfi", "-i", f"aevalsrc={'|'.join(channels)}:s={rate_hz}:c={layout}:d={SECONDS}"],
        *codec,
    )


# Chords that swell and fade, below what encoders leave out.
CHORD = "(sin(1380*t)+sin(1740*t)+0.7*sin(2070*t)+0.2*sin(9000*t))*(0.6+0.4*sin(1.3*t))"
# Words with pauses, and a clap every four seconds that is far above them.
WORDS = (
    "0.06*sin(1100*t)*sin(7000*t)*pow(sin(2.2*t)\\,2)*(1-between(mod(t\\,5)\\,4\\,5))"
    "+0.7*between(mod(t\\,4)\\,2\\,2.004)*sin(5000*t)"
)

PROGRAMME = {
    "soft.wav": lambda: signal("soft.wav", f"0.01*{CHORD}", f"0.008*{CHORD}"),
    "loud.flac": lambda: signal("loud.flac", f"0.3*{CHORD}", f"0.3*{CHORD}", codec=()),
    "words.wav": lambda: signal("words.wav", WORDS, rate_hz=48000),
    "chirps.mp4": lambda: media.make(
        "chirps.mp4", *media.picture(SECONDS), *media.sound(SECONDS), "-c:v", "mpeg4", "-c:a", "aac"
    ),
}


@pytest.mark.parametrize("lufs", [-23, -16, -14.5])
@pytest.mark.parametrize("name", PROGRAMME)
def test_an_mp3_is_as_loud_as_was_asked_for(here, name, lufs):
    path = here.convert(PROGRAMME[name](), "--loudness-lufs", str(lufs), "--bitrate-kbps", "192")
    loudness, peak = measure(path)
    assert loudness == pytest.approx(lufs, abs=0.2)
    assert peak <= -0.5  # and what the encoder adds


@pytest.mark.parametrize(
    "wish",
    [["--bitrate-kbps", kbps] for kbps in ("64", "96", "128", "160", "256", "320")]
    + [["--vbr-quality", quality] for quality in ("0", "2", "5", "9")],
)
def test_whatever_the_encoder_takes_away_is_made_up_for(here, wish):
    """LAME multiplies by 0.95 at some bitrates."""
    path = here.convert(PROGRAMME["loud.flac"](), "--loudness-lufs", "-16", *wish)
    assert measure(path)[0] == pytest.approx(-16, abs=0.2)


def test_the_limiter_works_where_gain_alone_would_be_too_much(here):
    """Else the row of words above would show nothing."""
    loudness, peak = measure(PROGRAMME["words.wav"]())
    assert peak + (-16 - loudness) > 3
    path = here.convert(PROGRAMME["words.wav"](), "--loudness-lufs", "-16", "--bitrate-kbps", "320")
    assert measure(path)[1] == pytest.approx(-1, abs=0.3)


@pytest.mark.parametrize("kbps,lufs", [("320", -14), ("64", -24), ("128", -16)])
def test_a_beat_is_as_loud_as_was_asked_for(here, kbps, lufs):
    """The limiter takes decibels of it, at 320 kb/s; LAME's lowpass takes of its noise, at 64."""
    beat = (
        "0.8*(random(0)-0.5)*exp(-30*mod(t\\,0.5))+0.5*sin(2*PI*60*t)*exp(-9*mod(t\\,0.5))"
        f"+0.06*{CHORD}"
    )
    source = signal("beat.wav", beat, beat)
    path = here.convert(source, "--loudness-lufs", str(lufs), "--bitrate-kbps", kbps)
    assert measure(path)[0] == pytest.approx(lufs, abs=0.2)


@pytest.mark.parametrize("lufs", [-23, -16])
def test_sound_that_is_hardly_there_is_as_loud_as_was_asked_for(here, lufs):
    """At first the meter hears only its loudest words."""
    words = "0.001*sin(1100*t)*sin(7000*t)*pow(sin(2.2*t)\\,2)*(1-between(mod(t\\,5)\\,4\\,5))"
    path = here.convert(signal("hardly.wav", words, words), "--loudness-lufs", str(lufs))
    assert measure(path)[0] == pytest.approx(lufs, abs=0.2)


def test_where_nothing_is_limited_sound_is_only_multiplied(here):
    source = PROGRAMME["soft.wav"]()
    loudness, _ = measure(source)
    options = ["-af", f"volume={-20 - loudness:.1f}dB:precision=double"]
    louder = memoryview(media.pcm(source, *options)).cast("h")
    made = memoryview(media.pcm(here.convert(source, "--loudness-lufs", "-20"))).cast("h")
    assert len(made) == len(louder)
    # Both channels by the same: the left stays a quarter above the right.
    loud = [max(abs(s) for s in made[channel::2]) for channel in (0, 1)]
    assert loud[0] / loud[1] == pytest.approx(1.25, abs=0.02)
    assert loud[0] == pytest.approx(max(abs(s) for s in louder[0::2]), rel=0.03)


@pytest.mark.parametrize("rate", ["8000", "16000", "48000"])
def test_other_rates_and_one_channel_too(here, rate):
    path = here.convert(
        PROGRAMME["loud.flac"](),
        *["--loudness-lufs", "-18", "--sample-rate-hz", rate, "--channels", "1"],
    )
    assert Mp3(path).rate_hz == int(rate)
    assert measure(path)[0] == pytest.approx(-18, abs=0.2)


def test_only_the_part_that_is_wanted_is_measured(here):
    """Its first half is soft, its second loud."""
    source = signal("halves.wav", f"(0.01+0.2*gt(t\\,20))*{CHORD}")
    for start, end in [("0", "20"), ("20", "40"), ("5", "6")]:
        path = here.convert(
            source, "--loudness-lufs", "-16", "--start-seconds", start, "--end-seconds", end
        )
        assert measure(path)[0] == pytest.approx(-16, abs=0.2)
        assert Mp3(path).samples == (int(end) - int(start)) * 44100


def test_silence_stays_silence_and_a_blink_stays_as_it_is(here):
    silence = media.make("silence.wav", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=5")
    assert set(media.pcm(here.convert(silence, "--loudness-lufs", "-16"))) == {0}
    blink = media.make("blink.wav", *media.sound(0.3))
    as_it_is = here.convert(blink).read_bytes()
    assert here.convert(blink, "--loudness-lufs", "-16").read_bytes() == as_it_is


def test_what_is_louder_than_full_scale_is_brought_below_it(here):
    source = signal("over.wav", f"1.5*{CHORD}", codec=("-c:a", "pcm_f32le"))
    assert measure(source)[1] > 6
    loudness, peak = measure(here.convert(source, "--loudness-lufs", "-20"))
    assert loudness == pytest.approx(-20, abs=0.2)
    assert peak < -5


def test_it_comes_out_of_a_pipe_as_out_of_a_file(here):
    source = PROGRAMME["words.wav"]()
    of_file = here.convert(source, "--loudness-lufs", "-16").read_bytes()
    with open(source, "rb") as file, subprocess.Popen(
        ["cat"], stdin=file, stdout=subprocess.PIPE
    ) as cat:
        result = here.run("-", "-", "--loudness-lufs", "-16", stdin=cat.stdout)
    assert (result.returncode, result.stdout) == (0, of_file), result.stderr


def progress_of_worker(source, options):
    """What a worker tells of its progress: (position, duration, prepared, preparation), in seconds,
    and of each whether the MP3 had begun."""
    data = source.read_bytes()
    ours, its = socket.socketpair()
    worker = subprocess.Popen(
        ["sh", "-c", 'exec 3<&0 </dev/null; exec "$0"', TAPEDECK.parent / "tapedeck-worker"],
        stdin=its,
    )
    its.close()
    stream = ours.makefile("rb")
    job = json.dumps(
        {
            "options": options,
            "input_size": len(data),
            "output_size_max": 1 << 30,
            "duration_max_ms": 0,
            "threads": 2,
        }
    ).encode()
    ours.sendall(struct.pack("<II", 1, len(job)) + job)
    told, has_begun = [], False
    while True:
        kind, size = struct.unpack("<II", stream.read(8))
        payload = stream.read(size)
        if kind == 3:
            offset, size = struct.unpack("<QI", payload)
            part = data[offset : offset + size]
            # It asks ahead, and may write before it takes the answer.
            answer = struct.pack("<II", 2, len(part)) + part
            threading.Thread(target=ours.sendall, args=[answer]).start()
        elif kind == 4:
            has_begun = True
        elif kind == 5:
            position, duration, _, prepared, preparation = struct.unpack("<QQQQQ", payload)
            numbers = [n / 1e6 for n in (position, duration, prepared, preparation)]
            told.append((*numbers, has_begun))
        else:
            assert kind == 6, payload
            break
    worker.wait()
    ours.close()
    return told


def test_progress_goes_over_measuring_and_encoding(here):
    source = media.long_clip(20)
    options = {"loudness_lufs": -16, "start_seconds": 100}
    told = progress_of_worker(source, options)
    before = [row for row in told if not row[4]]
    after = [row for row in told if row[4]]
    assert len(before) >= 3 and len(after) >= 3
    assert all(row[0] == 0 and row[2] <= row[3] for row in before)
    assert all(row[2] == row[3] == after[0][2] for row in after)
    assert all(row[1] == pytest.approx(1100, abs=1) for row in told)
    assert after[-1][0] == pytest.approx(1100, abs=1)
    # Measured once, plus what was decoded on the way to the start, twice.
    assert 1100 <= after[0][2] <= 1310
    for column in (0, 2):
        assert [row[column] for row in told] == sorted(row[column] for row in told)

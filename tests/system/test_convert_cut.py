"""A part of a video: from start_seconds to end_seconds, to the sample, as ffmpeg cuts it; and no
more of the video is read for it than its container allows."""

import re
import subprocess

import pytest

import media
import reading
from mp3 import Mp3

SECONDS = 75
VIDEO = ["-c:v", "mpeg4", "-g", "25"]
# Without noise that decoders make up: it depends on where they began.
AAC = ["-c:a", "aac", "-aac_pns", "0"]


def clip(name, *arguments, rate_hz=44100):
    return media.make(
        name, *media.picture(SECONDS), *media.music(SECONDS, rate_hz), *VIDEO, *arguments
    )


def sound(name, *arguments, rate_hz=44100):
    return media.make(name, *media.music(SECONDS, rate_hz), *arguments)


def late_sound():
    """The picture is there for 0.7 s before anything is to be heard."""
    return media.make(
        "late.mkv",
        *["-itsoffset", "0.7", "-i", clip("cut.mp4", *AAC), "-i", clip("cut.mp4", *AAC)],
        *["-map", "0:a", "-map", "1:v", "-c", "copy"],
    )


SOURCES = {
    "cut.mp4": lambda: clip("cut.mp4", *AAC),
    "pieces.mp4": lambda: clip("pieces.mp4", *AAC, "-movflags", "frag_keyframe+empty_moov"),
    "cut.mov": lambda: clip("cut.mov", "-c:a", "pcm_s16le"),
    "aac.mkv": lambda: clip("cut-aac.mkv", *AAC),
    "opus.mkv": lambda: clip("cut-opus.mkv", "-c:a", "libopus", rate_hz=48000),
    "flac.mkv": lambda: clip("cut-flac.mkv", "-c:a", "flac"),
    "mp3.mka": lambda: sound("cut-mp3.mka", "-c:a", "libmp3lame"),
    "late.mkv": late_sound,
    "vorbis.webm": lambda: sound("cut.webm", "-c:a", "libvorbis", rate_hz=48000),
    "vorbis.ogg": lambda: sound("cut.ogg", "-c:a", "libvorbis"),
    "cut.ts": lambda: clip("cut.ts", *AAC),
    "cut.flv": lambda: clip("cut.flv", "-c:v", "flv", *AAC),
    "cut.avi": lambda: clip("cut.avi", "-c:a", "libmp3lame"),
    "cut.wav": lambda: sound("cut.wav"),
    "cut.flac": lambda: sound("cut.flac"),
    "cut.mp3": lambda: sound("cut.mp3", "-c:a", "libmp3lame"),
    "cut.aac": lambda: sound("cut.aac", *AAC),
}


def cut_by_ffmpeg(source, folder, start, end):
    """ffmpeg decodes everything before the start, and drops it."""
    path = folder / "ffmpeg.mp3"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", source, "-vn", "-ss", start, "-to", end]
        + ["-c:a", "libmp3lame", "-b:a", "128k", path],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return Mp3(path)


def cut(here, source, start, end, *arguments):
    return Mp3(here.convert(source, "--start-seconds", start, "--end-seconds", end, *arguments))


@pytest.mark.parametrize("start, end", [("1.2345", "3.5"), ("61.000013", "64.9")])
@pytest.mark.parametrize("name", SOURCES)
def test_a_part_is_what_ffmpeg_cuts_out_to_the_sample(here, name, start, end):
    source = SOURCES[name]()
    mine, theirs = cut(here, source, start, end), cut_by_ffmpeg(source, here.path, start, end)
    assert mine.samples == theirs.samples
    assert mine.music == theirs.music
    assert "warning" not in here.said


def test_a_part_can_end_with_the_video_or_begin_with_it(here):
    source = SOURCES["cut.wav"]()
    samples = SECONDS * 44100
    for arguments, expected in [
        (["--start-seconds", "74"], 44100),
        (["--start-seconds", "74.5", "--end-seconds", "1000"], 22050),
        (["--end-seconds", "0.5"], 22050),
        (["--start-seconds", "0", "--end-seconds", "100"], samples),
        (["--start-seconds", "10", "--end-seconds", "10.00003"], 1),
    ]:
        assert Mp3(here.convert(source, *arguments)).samples == expected
        assert "warning" not in here.said


def test_a_part_of_another_rate_is_as_long(here):
    source = SOURCES["cut.mp4"]()
    path = here.convert(
        source, "--start-seconds", "70", "--end-seconds", "71", "--sample-rate-hz", "16000"
    )
    assert abs(Mp3(path).samples - 16000) <= 16


@pytest.mark.parametrize("name", ["cut.mp4", "cut.ts", "aac.mkv"])
def test_a_start_behind_the_sounds_end_is_an_empty_range(here, name):
    source = SOURCES[name]()
    assert "before 100 s" in here.refuse(source, "empty_range", "--start-seconds", "100")
    here.refuse(source, "empty_range", "--start-seconds", "75.5")


def test_sound_that_begins_behind_the_end_is_an_empty_range(here):
    here.refuse(late_sound(), "empty_range", "--end-seconds", "0.5")


def test_the_end_is_behind_the_start(here):
    result = here.run("a", "--start-seconds", "2", "--end-seconds", "2")
    assert result.returncode == 2
    assert b"end_seconds must be more than start_seconds" in result.stderr


def test_a_part_comes_out_of_a_pipe(here):
    source = SOURCES["aac.mkv"]()
    with open(source, "rb") as file, subprocess.Popen(
        ["cat"], stdin=file, stdout=subprocess.PIPE
    ) as cat:
        result = here.run(
            *["-", "out.mp3", "--start-seconds", "61", "--end-seconds", "62"], stdin=cat.stdout
        )
    assert result.returncode == 0, result.stderr
    piped = Mp3(here.path / "out.mp3")
    assert piped.music == cut(here, source, "61", "62").music


def bytes_read(folder, *arguments):
    return sum(size for _, size in reading.ranges(folder, *arguments))


def large(name, *arguments):
    """Pictures that take far more room than the sound."""
    return media.make(
        name,
        *["-f", "lavfi", "-i", f"nullsrc=s=320x240:r=5:d={SECONDS},geq=random(1)*255:128:128"],
        *media.music(SECONDS),
        *["-c:v", "mjpeg", "-q:v", "2", *arguments],
    )


@pytest.mark.parametrize("name", ["large.mp4", "large.mkv", "cut.wav"])
def test_what_lies_far_before_the_start_is_not_read(here, name):
    source = SOURCES[name]() if name in SOURCES else large(name, *AAC)
    size = source.stat().st_size
    whole = bytes_read(here.path, source)
    part = bytes_read(here.path, source, "--start-seconds", "70", "--end-seconds", "72")
    assert part < whole / 2, (size, whole, part)


def test_an_index_that_lies_costs_time_and_nothing_else(here):
    """It names places behind the start: the MP3 is the same, made by decoding all that is before."""
    source = clip("cut-aac.mkv", *AAC)
    data = bytearray(source.read_bytes())
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    places = [m.start() for m in re.finditer(b"\xf1[\x81-\x84]", data[cues:])]
    assert len(places) > 10
    last = cues + places[-1]
    size = data[last + 1] & 0xF
    for place in places:
        at = cues + place
        if data[at + 1] == data[last + 1]:
            data[at : at + 2 + size] = data[last : last + 2 + size]
    liar = here.path / "liar.mkv"
    liar.write_bytes(data)
    assert cut(here, liar, "50", "52").music == cut(here, source, "50", "52").music


def test_times_that_start_over_go_on_where_the_sound_was(here):
    """Two recordings in one stream, as ffmpeg reads them."""
    first = SOURCES["cut.ts"]().read_bytes()
    source = here.path / "twice.ts"
    source.write_bytes(first + first)
    mine = cut(here, source, "80", "82")
    assert mine.samples == cut_by_ffmpeg(source, here.path, "80", "82").samples == 2 * 44100


def test_the_videos_own_length_is_told_whatever_is_cut(serve):
    with open(SOURCES["cut.mp4"](), "rb") as file:
        answer = serve.client().post(
            "/v1/conversions",
            params={"start_seconds": "61.5", "end_seconds": "63"},
            files={"file": file},
        )
    assert answer.status_code == 202, answer.text
    shown = serve.wait_for_end(answer.json()["id"])
    assert shown["options"] == {"start_seconds": 61.5, "end_seconds": 63}
    assert shown["mp3"]["duration_seconds"] == pytest.approx(1.5, abs=1e-4)
    assert shown["video"]["duration_seconds"] == pytest.approx(SECONDS, abs=0.1)

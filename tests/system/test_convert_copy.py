"""MP3 sound that needs no change is copied, frame by frame."""

import resource
import subprocess

import pytest

import media
from mp3 import Mp3, crc16, frame_at
from test_convert import clip, tone
from test_convert_cut import cut, cut_by_ffmpeg

MP3 = ["-c:a", "libmp3lame"]


def sources(kind, *encoding, **sound):
    """Each container with sound of LAME's in it, in a video or alone."""
    return {
        f"{kind}.{ending}": lambda ending=ending: tone(
            f"copy-{kind}.{ending}", *MP3, *encoding, **sound
        )
        for ending in ("mkv", "mp4", "mov", "avi", "ts", "mp3")
    }


COPIED = {
    **sources("cbr", "-b:a", "192k"),
    **sources("vbr", "-q:a", "4"),
    **sources("mono22k", "-b:a", "32k", rate_hz=22050, layout="mono"),
    "film.mkv": lambda: clip("copy-film.mkv", *MP3, "-b:a", "160k"),
    "film.mp4": lambda: clip("copy-film.mp4", *MP3, "-b:a", "320k"),
    "film.avi": lambda: clip("copy-film.avi", *MP3, "-b:a", "96k"),
    "no-info.mp3": lambda: tone("copy-no-info.mp3", *MP3, "-write_xing", "0"),
    "no-reservoir.mkv": lambda: tone("copy-res.mkv", *MP3, "-reservoir", "0"),
}


def frames_in(path):
    """As ffmpeg gives them without decoding, and without an Info frame."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-c", "copy", "-write_xing", "0"]
    return subprocess.run(
        [*command, "-id3v2_version", "0", "-f", "mp3", "-"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    ).stdout


@pytest.mark.parametrize("name", COPIED)
def test_a_copy_has_the_sources_frames_and_plays_the_same(here, name):
    source = COPIED[name]()
    path = here.convert(source)
    mp3, frames = Mp3(path), frames_in(source)
    added = len(mp3.music) - len(frames)
    assert mp3.music[added:] == frames
    if added > 0:  # what makes the length right where the source's is without delays
        assert added == frame_at(mp3.music, 0)[0] and not any(mp3.music[4:added])
    assert media.pcm(path) == media.pcm(source)
    assert mp3.samples * mp3.channels * 2 == len(media.pcm(source))
    assert "warning" not in here.said


@pytest.mark.parametrize("name", ["cbr.mp4", "vbr.mp3", "mono22k.avi", "film.mkv"])
def test_the_info_frame_of_a_copy_is_right(here, name):
    path = here.convert(COPIED[name]())
    mp3 = Mp3(path)
    size = path.stat().st_size - mp3.info_at
    is_vbr = len(set(mp3.bitrates_kbps)) > 1
    assert is_vbr == name.startswith("vbr")
    assert mp3.info.kind == (b"Xing" if is_vbr else b"Info")
    assert mp3.info.method == (0 if is_vbr else 1)
    assert mp3.info.frames == len(mp3.bitrates_kbps)
    assert (mp3.info.size, mp3.info.music_size) == (size, size)
    assert mp3.info.music_crc == crc16(mp3.music)
    assert mp3.info.is_crc_right
    assert list(mp3.info.toc) == sorted(mp3.info.toc) and mp3.info.toc[50] > 100


@pytest.mark.parametrize(
    "wish",
    [
        ["--copy", "never"],
        ["--bitrate-kbps", "192"],
        ["--vbr-quality", "4"],
        ["--sample-rate-hz", "44100"],
        ["--channels", "2"],
        ["--end-seconds", "1000"],
        ["--loudness-lufs", "-30"],
    ],
)
def test_whoever_asks_for_more_gets_another_encoding(here, wish):
    source = COPIED["cbr.mkv"]()
    mp3 = Mp3(here.convert(source, *wish))
    assert frames_in(source) not in mp3.music
    assert mp3.info.lowpass_hz > 0  # of LAME, which a copy knows nothing of
    assert mp3.samples * 4 == len(media.pcm(source))


@pytest.mark.parametrize("name", ["cbr.mkv", "cbr.mp4", "vbr.mp3"])
@pytest.mark.parametrize("start, end", [("0.5", "1.25"), ("0.01", "1000")])
def test_a_part_is_encoded_to_the_sample_and_not_copied(here, name, start, end):
    source = COPIED[name]()
    theirs = cut_by_ffmpeg(source, here.path, start, end)
    for copying in ("auto", "never"):
        mine = cut(here, source, start, end, "--copy", copying)
        assert mine.info.lowpass_hz > 0
        assert mine.samples == theirs.samples
        assert mine.music == theirs.music


@pytest.mark.parametrize("start", ["0.000023", "0.5"])
@pytest.mark.parametrize("name", ["cbr.mkv", "cbr.mp4", "vbr.mp3"])
def test_a_start_alone_is_a_part(here, name, start):
    source = COPIED[name]()
    mp3 = Mp3(here.convert(source, "--start-seconds", start))
    assert mp3.info.lowpass_hz > 0
    assert mp3.samples * 4 == len(media.pcm(source, "-ss", start))


def test_a_start_at_the_beginning_is_no_part(here):
    source = COPIED["cbr.mkv"]()
    copied = here.convert(source).read_bytes()
    assert here.convert(source, "--start-seconds", "0").read_bytes() == copied


def test_a_copy_of_a_copy_is_the_same(here):
    first = here.convert(COPIED["cbr.mp4"]()).read_bytes()
    (here.path / "first.mp3").write_bytes(first)
    assert here.convert(here.path / "first.mp3").read_bytes() == first


def test_an_info_frame_in_the_stream_is_no_sound(here):
    """As programs leave it there that put an MP3 into a container as it is."""
    whole = here.path / "whole.mp3"
    whole.write_bytes(here.convert(COPIED["cbr.mp3"]()).read_bytes())
    mp3 = Mp3(whole)
    # Under another name until it is in, since ffmpeg would take it out.
    data = whole.read_bytes()[mp3.info_at :]
    source = here.path / "info.avi"
    (here.path / "no-tag.mp3").write_bytes(data.replace(b"Info", b"Inf0", 1))
    command = ["ffmpeg", "-v", "error", "-y", "-i", here.path / "no-tag.mp3", "-c", "copy", source]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    source.write_bytes(source.read_bytes().replace(b"Inf0", b"Info", 1))
    path = here.convert(source)
    assert Mp3(path).music == mp3.music
    assert Mp3(path).info.delay == mp3.info.delay
    assert media.pcm(path) == media.pcm(whole)


def test_a_stream_cut_out_of_another_begins_with_silence_and_no_noise(here):
    """Its first frames' main data stand in frames that are not there."""
    frames = frames_in(tone("copy-reservoir.mp3", *MP3, "-b:a", "64k"))
    sizes, at = [], 0
    while at < len(frames):
        sizes.append(frame_at(frames, at)[0])
        at += sizes[-1]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    first = next(i for i in range(10, 40) if frames[starts[i] + 4] > 0)  # main_data_begin
    source = here.path / "cut.mp3"
    source.write_bytes(frames[starts[first] :])
    mp3 = Mp3(here.convert(source))
    assert len(mp3.bitrates_kbps) == 1 + len(sizes) - first
    added = frame_at(mp3.music, 0)[0]
    assert not any(mp3.music[4:added]) and not any(mp3.music[added + 4 : added + 36])
    assert mp3.music.endswith(frames[starts[first + 12] :])
    assert mp3.samples == (len(sizes) - first) * 1152


def spoiled():
    """Streams that cannot be copied, though there is MP3 in them."""
    stereo = frames_in(COPIED["cbr.mp3"]())
    half = sum(frame_at(stereo, 0)[0] for _ in range(30))
    mono = frames_in(tone("copy-mono.mp3", *MP3, layout="mono"))
    other_rate = frames_in(tone("copy-48k.mp3", *MP3, rate_hz=48000))
    layer_two = tone("copy-layer2.mp2", "-c:a", "mp2").read_bytes()
    return {
        "mono": stereo + mono,
        "rate": other_rate + stereo,
        "garbage": stereo + bytes(i * 37 & 127 for i in range(5000)) + stereo,
        "in-a-frame": stereo[: half + 100] + stereo[half + 300 :],
        "tag": stereo + b"ID3\4\0\0\0\0\0\x0aTIT2xxxxxx" + stereo,
        "layer-two": stereo + layer_two + stereo,
        "free-format": stereo + (b"\xff\xfb\x00\x64" + bytes(413)) * 40 + stereo,
        "zeros": stereo + bytes(10000) + stereo,
    }


@pytest.mark.parametrize(
    "name",
    ["mono", "rate", "garbage", "in-a-frame", "tag", "layer-two", "free-format", "zeros"],
)
def test_what_cannot_be_copied_is_encoded_and_never_a_broken_mp3(here, name):
    source = here.path / f"{name}.mp3"
    source.write_bytes(spoiled()[name])
    mp3 = Mp3(here.convert(source))  # checks that it is one row of frames of one kind
    assert mp3.info.lowpass_hz > 0
    assert mp3.info.music_crc == crc16(mp3.music)


@pytest.mark.parametrize("cut", [1, 30, 200, 400])
def test_a_copy_of_a_cut_stream_ends_with_its_last_frame(here, cut):
    whole = COPIED["no-info.mp3"]().read_bytes()
    source = here.path / "cut.mp3"
    source.write_bytes(whole[:-cut])
    path = here.convert(source)
    assert Mp3(path).info.lowpass_hz == 0
    assert len(media.pcm(path)) == len(media.pcm(source))


def test_tags_behind_the_sound_are_left_behind(here):
    source = here.path / "tagged.mp3"
    whole = COPIED["cbr.mp3"]()
    source.write_bytes(whole.read_bytes() + b"TAG" + b"a title".ljust(125, b"\0"))
    path = here.convert(source)
    assert Mp3(path).info.lowpass_hz == 0
    assert media.pcm(path) == media.pcm(whole)


def test_frames_that_are_too_many_to_keep_are_read_again(here):
    """More than 32 MiB of them, of a stream whose first frames lack their main data."""
    minute = frames_in(tone("copy-minute-320k.mp3", *MP3, "-b:a", "320k", seconds=60))
    first = frame_at(minute, 0)[0]
    source = here.path / "long.mp3"
    source.write_bytes((minute * 15)[first:])
    assert source.stat().st_size > 33 << 20
    mp3 = Mp3(here.convert(source))
    assert mp3.info.lowpass_hz == 0
    assert mp3.music.endswith(minute * 14)
    assert mp3.info.music_crc == crc16(mp3.music)
    assert len(media.pcm(here.path / "out.mp3")) == len(media.pcm(source))


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_copy_takes_a_fiftieth_of_encoding(here):
    """Counted in the processors' time, which other tests do not take away."""
    minute = frames_in(tone("copy-minute.mp3", *MP3, seconds=60))
    (here.path / "long.mp3").write_bytes(minute * 20)
    source = media.make("copy-long.mkv", "-i", here.path / "long.mp3", "-c", "copy")
    seconds = {}
    for wish in ("auto", "never"):
        began = cpu_seconds()
        here.convert(source, "--copy", wish)
        seconds[wish] = cpu_seconds() - began
    assert seconds["never"] > 50 * seconds["auto"], seconds


def test_a_copy_is_no_longer_than_is_allowed(workshop):
    source = tone("copy-too-long.mp3", *MP3, seconds=60)
    workshop.start("converter", {"limits.duration_max": "59s"})
    record = workshop.wait_for_state(workshop.upload(source), "failed", "done", seconds=60)
    assert record["error"]["code"] == "too_long"

"""The engine: every format that people have, as long as ffmpeg makes it, the frames that ffmpeg
makes, and a reason for what cannot be converted."""

import json
import struct
import subprocess
import wave

import pytest

import media
import reading
from mp3 import Mp3, crc16

VIDEO = ["-c:v", "mpeg4", "-shortest"]


def clip(name, *arguments, sound=None, seconds=2):
    """A video with sound that `arguments` encode."""
    return media.make(
        name, *media.picture(seconds), *(sound or media.music(seconds)), *VIDEO, *arguments
    )


def tone(name, *arguments, rate_hz=44100, layout="stereo", seconds=2):
    """Sound alone."""
    return media.make(name, *media.music(seconds, rate_hz, layout), *arguments)


SOURCES = {
    "aac.mp4": lambda: clip("aac.mp4", "-c:a", "aac"),
    "faststart.mp4": lambda: clip("faststart.mp4", "-c:a", "aac", "-movflags", "faststart"),
    "fragments.mp4": lambda: clip(
        "fragments.mp4", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"
    ),
    "pcm.mov": lambda: clip("pcm.mov", "-c:a", "pcm_s16be"),
    "alac.m4a": lambda: tone("alac.m4a", "-c:a", "alac"),
    "opus.mkv": lambda: clip("opus.mkv", "-c:a", "libopus", sound=media.music(2, 48000)),
    "ac3.mkv": lambda: clip("ac3.mkv", "-c:a", "ac3", sound=media.music(2, 48000)),
    "vorbis.webm": lambda: media.make(
        "vorbis.webm",
        *media.picture(2),
        *media.music(2, 48000),
        *["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis", "-shortest"],
    ),
    "mp3.avi": lambda: clip("mp3.avi", "-c:a", "libmp3lame"),
    "aac.ts": lambda: clip("aac.ts", "-c:a", "aac"),
    "mp2.mpg": lambda: media.make(
        "mp2.mpg",
        *media.picture(2),
        *media.music(2),
        *["-r", "25", "-c:v", "mpeg2video", "-c:a", "mp2", "-shortest"],
    ),
    "aac.flv": lambda: clip("aac.flv", "-c:v", "flv", "-c:a", "aac"),
    "wmav2.wmv": lambda: clip("wmav2.wmv", "-c:a", "wmav2"),
    "flac.flac": lambda: tone("flac.flac"),
    "vorbis.ogg": lambda: tone("vorbis.ogg", "-c:a", "libvorbis"),
    "24-bit.wav": lambda: tone("24-bit.wav", "-c:a", "pcm_s24le"),
    "float.wav": lambda: tone("float.wav", "-c:a", "pcm_f32le"),
    "pcm.caf": lambda: tone("pcm.caf"),
    "pcm.w64": lambda: tone("pcm.w64"),
    "adts.aac": lambda: tone("adts.aac", "-c:a", "aac"),
    "plain.mp3": lambda: tone("plain.mp3", "-c:a", "libmp3lame"),
    "mono.mp4": lambda: tone("mono.mp4", "-c:a", "aac", layout="mono"),
    "48k.mp4": lambda: tone("48k.mp4", "-c:a", "aac", rate_hz=48000),
    "32k.mp4": lambda: tone("32k.mp4", "-c:a", "aac", rate_hz=32000),
    "22k.mp4": lambda: tone("22k.mp4", "-c:a", "aac", rate_hz=22050),
    "8k.wav": lambda: tone("8k.wav", rate_hz=8000, layout="mono"),
    "11k.wav": lambda: tone("11k.wav", rate_hz=11025),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_format_keeps_its_length_to_the_sample(here, name):
    source = SOURCES[name]()
    path = here.convert(source)
    mp3 = Mp3(path)
    expected = media.pcm(source)
    assert len(media.pcm(path)) == len(expected), here.said
    assert mp3.samples * mp3.channels * 2 == len(expected)
    assert mp3.info.frames == len(mp3.bitrates_kbps)
    assert set(mp3.bitrates_kbps) == {min(128, 64 if mp3.rate_hz <= 12000 else 128)}
    assert "warning" not in here.said


def frames_of_ffmpeg(source, folder, *arguments):
    path = folder / "ffmpeg.mp3"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", source, "-vn", "-c:a", "libmp3lame", *arguments]
        + [path],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return Mp3(path)


@pytest.mark.parametrize("kbps", [64, 128, 192, 320])
@pytest.mark.parametrize("name", ["aac.mp4", "opus.mkv", "flac.flac", "mono.mp4", "22k.mp4"])
def test_constant_bitrate_gives_the_frames_that_ffmpeg_gives(here, name, kbps):
    source = SOURCES[name]()
    mine = Mp3(here.convert(source, "--bitrate-kbps", str(kbps)))
    theirs = frames_of_ffmpeg(source, here.path, "-b:a", f"{kbps}k")
    assert mine.music == theirs.music
    assert (mine.info.delay, mine.info.padding) == (theirs.info.delay, theirs.info.padding)
    assert mine.info.music_crc == theirs.info.music_crc


@pytest.mark.parametrize("name", ["24-bit.wav", "float.wav", "8k.wav", "11k.wav", "32k.mp4"])
def test_other_sample_formats_and_rates_give_ffmpegs_frames_too(here, name):
    source = SOURCES[name]()
    mine = Mp3(here.convert(source))
    kbps = mine.bitrates_kbps[0]
    assert mine.music == frames_of_ffmpeg(source, here.path, "-b:a", f"{kbps}k").music


@pytest.mark.parametrize("quality", [0, 2, 5, 9])
def test_variable_bitrate_gives_the_frames_that_ffmpeg_gives(here, quality):
    source = SOURCES["aac.mp4"]()
    mine = Mp3(here.convert(source, "--vbr-quality", str(quality)))
    assert mine.music == frames_of_ffmpeg(source, here.path, "-q:a", str(quality)).music
    assert mine.info.kind == b"Xing"
    assert mine.info.method == 4
    if quality < 9:
        assert len(set(mine.bitrates_kbps)) > 1


def test_the_info_frame_tells_what_follows(here):
    path = here.convert(SOURCES["aac.mp4"]())
    mp3 = Mp3(path)
    size = path.stat().st_size - mp3.info_at
    assert mp3.info.kind == b"Info"
    assert mp3.info.encoder.startswith(b"LAME3.")
    assert mp3.info.method == 1
    assert (mp3.info.size, mp3.info.music_size) == (size, size)
    assert mp3.info.music_crc == crc16(mp3.music)
    assert mp3.info.is_crc_right
    assert mp3.info.lowpass_hz == 17000
    line = [256 * percent / 100 for percent in range(100)]
    assert all(abs(found - wanted) <= 5 for found, wanted in zip(mp3.info.toc, line))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 32000, 48000])
def test_a_wished_sample_rate_keeps_the_length(here, rate_hz):
    source = SOURCES["aac.mp4"]()
    mp3 = Mp3(here.convert(source, "--sample-rate-hz", str(rate_hz)))
    assert mp3.rate_hz == rate_hz
    expected = len(media.pcm(source, "-ar", str(rate_hz))) // 4
    assert abs(mp3.samples - expected) <= 16
    assert mp3.music == frames_of_ffmpeg(
        source, here.path, "-ar", str(rate_hz), "-b:a", f"{mp3.bitrates_kbps[0]}k"
    ).music


def test_a_rate_that_mpeg_does_not_know_becomes_the_nearest(here):
    source = tone("96k.flac", rate_hz=96000)
    mp3 = Mp3(here.convert(source))
    assert mp3.rate_hz == 48000
    assert abs(mp3.samples - 2 * 48000) <= 16


def test_a_bitrate_that_mpeg_does_not_know_becomes_the_next_lower_and_is_said(here):
    mp3 = Mp3(here.convert(SOURCES["aac.mp4"](), "--bitrate-kbps", "100"))
    assert set(mp3.bitrates_kbps) == {96}
    assert "note: there is no 100 kb/s at 44100 Hz, so it has 96 kb/s" in here.said


def peaks(path):
    """The loudest sample of each channel of a stereo file."""
    samples = memoryview(media.pcm(path)).cast("h")
    return [max(abs(s) for s in samples[channel::2]) for channel in (0, 1)]


def test_surround_sound_becomes_stereo_as_ffmpeg_mixes_it(here):
    source = media.make(
        "surround.mkv", *media.music(2, 48000, "5.1"), "-c:a", "ac3", "-b:a", "448k"
    )
    path = here.convert(source)
    mp3 = Mp3(path)
    assert (mp3.channels, mp3.rate_hz) == (2, 48000)
    assert mp3.samples == len(media.pcm(source)) // 12
    assert mp3.music == frames_of_ffmpeg(source, here.path, "-ac", "2", "-b:a", "128k").music


@pytest.mark.parametrize("channel, expected", list(enumerate(["L", "R", "both", "none", "L", "R"])))
def test_each_surround_channel_is_heard_where_it_belongs(here, channel, expected):
    signal = "|".join("0.5*sin(2000*t)" if i == channel else "0" for i in range(6))
    source = media.make(
        f"surround-{channel}.wav", "-f", "lavfi", "-i", f"aevalsrc={signal}:s=44100:c=5.1:d=1"
    )
    left, right = (peak > 2000 for peak in peaks(here.convert(source)))
    assert (left, right) == {
        "L": (True, False),
        "R": (False, True),
        "both": (True, True),
        "none": (False, False),
    }[expected]


def test_stereo_becomes_mono_and_mono_stereo_when_asked(here):
    mp3 = Mp3(here.convert(SOURCES["aac.mp4"](), "--channels", "1"))
    assert mp3.channels == 1
    assert mp3.samples == len(media.pcm(SOURCES["aac.mp4"]())) // 4
    path = here.convert(SOURCES["mono.mp4"](), "--channels", "2")
    assert Mp3(path).channels == 2
    left, right = peaks(path)
    assert abs(left - right) < 100 and left > 5000


def two_tracks():
    """An English track of 1 kHz for a second, and a German one of 200 Hz for two."""
    return media.make(
        "tracks.mkv",
        *media.picture(2),
        *["-f", "lavfi", "-i", "sine=frequency=1000:duration=1:sample_rate=44100"],
        *["-f", "lavfi", "-i", "sine=frequency=200:duration=2:sample_rate=44100"],
        *["-map", "0", "-map", "1", "-map", "2", "-c:v", "mpeg4", "-c:a", "aac"],
        *["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger"],
        *["-disposition:a:0", "0", "-disposition:a:1", "default"],
    )


@pytest.mark.parametrize(
    "wish, track",
    [
        (["--track", "1"], 0),
        (["--track", "2"], 1),
        (["--language", "en"], 0),
        (["--language", "de"], 1),
        (["--language", "deu"], 1),
        ([], 1),  # the file's own default
    ],
)
def test_the_wanted_track_is_taken(here, wish, track):
    source = two_tracks()
    mp3 = Mp3(here.convert(source, *wish))
    assert mp3.samples * 2 == len(media.pcm(source, "-map", f"0:a:{track}"))


def test_a_track_that_is_not_there_is_no_such_track(here):
    assert "the file has 2" in here.refuse(two_tracks(), "no_such_track", "--track", "3")
    assert "fr" in here.refuse(two_tracks(), "no_such_track", "--language", "fr")


def tagged():
    return clip(
        "tagged.mp4",
        *["-c:a", "aac", "-metadata", "title=Grüße", "-metadata", "artist=Anna"],
        *["-metadata", "album=Fahrt", "-metadata", "date=2021", "-metadata", "genre=Folk"],
        *["-metadata", "comment=ein Satz", "-metadata", "composer=Ben"],
    )


def test_tags_are_carried_over(here):
    assert Mp3(here.convert(tagged())).tags == {
        "TIT2": "Grüße",
        "TPE1": "Anna",
        "TALB": "Fahrt",
        "TDRC": "2021",
        "TCON": "Folk",
        "COMM": "ein Satz",
        "TCOM": "Ben",
    }


def test_a_tracks_name_is_no_title(here):
    source = clip("named-track.mkv", "-c:a", "aac", "-metadata:s:a:0", "title=Stereo")
    assert "TIT2" not in Mp3(here.convert(source)).tags
    source = tone("titled.ogg", "-c:a", "libvorbis", "-metadata", "title=Lied")
    assert Mp3(here.convert(source)).tags["TIT2"] == "Lied"


def test_given_tags_come_first_and_none_leaves_only_those(here):
    given = ["--title", "Neu", "--year", "1999"]
    tags = Mp3(here.convert(tagged(), *given)).tags
    assert (tags["TIT2"], tags["TDRC"], tags["TPE1"]) == ("Neu", "1999", "Anna")
    assert Mp3(here.convert(tagged(), *given, "--tags", "none")).tags == {
        "TIT2": "Neu",
        "TDRC": "1999",
    }
    path = here.convert(tagged(), "--tags", "none")
    assert path.read_bytes()[:2] == b"\xff\xfb"


def test_ffprobe_reads_our_tags(here):
    path = here.convert(tagged())
    found = json.loads(
        subprocess.run(
            ["ffprobe", "-v", "error", "-of", "json", "-show_format", path],
            check=True,
            capture_output=True,
        ).stdout
    )["format"]
    assert found["tags"]["title"] == "Grüße" and found["tags"]["comment"] == "ein Satz"
    assert abs(float(found["duration"]) - 2) < 0.1


@pytest.mark.parametrize("name", ["fragments.mp4", "opus.mkv", "mp3.avi", "flac.flac", "24-bit.wav"])
def test_what_is_cut_off_is_converted_as_far_as_it_goes(here, name):
    whole = SOURCES[name]().read_bytes()
    source = here.path / f"cut-{name}"
    source.write_bytes(whole[: len(whole) * 6 // 10])
    mp3 = Mp3(here.convert(source))
    assert 0.3 < mp3.samples / mp3.rate_hz < 1.9
    assert mp3.samples == len(media.pcm(source)) // 2 // mp3.channels
    assert "warning" in here.said


def test_a_cut_mp4_with_its_index_in_front_is_truncated(here):
    whole = SOURCES["faststart.mp4"]().read_bytes()
    source = here.path / "cut.mp4"
    source.write_bytes(whole[: len(whole) * 6 // 10])
    mp3 = Mp3(here.convert(source))
    assert 0.3 < mp3.samples / mp3.rate_hz < 1.9
    assert "warning" in here.said


def test_a_stream_that_never_says_how_long_it_is_ends_where_it_ends(here):
    whole = SOURCES["aac.ts"]().read_bytes()
    source = here.path / "cut.ts"
    source.write_bytes(whole[: len(whole) * 6 // 10])
    mp3 = Mp3(here.convert(source))
    assert mp3.samples == len(media.pcm(source)) // 4


@pytest.mark.parametrize("name", ["24-bit.wav", "pcm.caf", "faststart.mp4", "opus.mkv", "aac.ts"])
def test_a_whole_stream_is_not_called_cut(here, name):
    """Its demuxer may jump to the end, of which only the last byte tells that it is one."""
    with open(SOURCES[name](), "rb") as file, subprocess.Popen(
        ["cat"], stdin=file, stdout=subprocess.PIPE
    ) as cat:
        result = here.run("-", "out.mp3", stdin=cat.stdout)
    assert result.returncode == 0 and b"warning" not in result.stderr, result.stderr


@pytest.mark.parametrize("name", ["short.wmv", "short.mkv", "short.mp4", "short.avi"])
def test_sound_that_ends_before_the_film_is_not_called_cut(here, name):
    sound = ["-c:a", "wmav2" if name.endswith("wmv") else "libmp3lame"]
    film = media.make(name, *media.picture(6), *media.music(2), "-c:v", "mpeg4", *sound)
    assert Mp3(here.convert(film)).samples < 3 * 44100
    assert "warning" not in here.said


def test_a_stream_whose_header_could_not_know_its_length_is_not_called_cut(here):
    command = ["ffmpeg", "-v", "error", "-i", SOURCES["24-bit.wav"](), "-f", "wav", "-"]
    endless = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    assert b"data" + b"\xff" * 4 in endless
    (here.path / "endless.wav").write_bytes(endless)
    for source in ("-", "endless.wav"):
        result = here.run(source, "out.mp3", "--force", input=endless)
        assert result.returncode == 0 and b"warning" not in result.stderr, result.stderr


def test_a_jump_to_the_end_of_the_world_is_no_fault_of_ours(here):
    whole = SOURCES["faststart.mp4"]().read_bytes()
    at = whole.index(b"mdat") - 4
    jump = struct.pack(">I4sQ", 1, b"free", (1 << 63) - 100 - at)
    result = here.run("-", "out.mp3", input=whole[:at] + jump + whole[at:])
    assert b"internal" not in result.stderr, result.stderr


def test_a_cut_mp4_without_its_index_is_damaged(here):
    whole = SOURCES["aac.mp4"]().read_bytes()
    source = here.path / "cut.mp4"
    source.write_bytes(whole[: len(whole) // 2])
    here.refuse(source, "damaged")


def test_sound_too_short_to_resample_is_damaged(here):
    source = here.path / "click.wav"
    with wave.open(str(source), "wb") as click:
        click.setnchannels(1)
        click.setsampwidth(2)
        click.setframerate(48000)
        click.writeframes(b"\x10\0" * 10)
    assert Mp3(here.convert(source)).samples == 10
    here.refuse(source, "damaged", "--sample-rate-hz", "8000")


def test_noise_in_the_middle_is_left_out(here):
    whole = bytearray(SOURCES["aac.ts"]().read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 4000] = bytes(i * 7 & 255 for i in range(4000))
    source = here.path / "noisy.ts"
    source.write_bytes(whole)
    assert Mp3(here.convert(source)).samples > 44100


def test_a_video_without_sound_has_no_audio(here):
    here.refuse(media.silent_clip(), "no_audio")


def test_what_is_no_media_is_refused(here):
    here.refuse(media.not_media(), "not_media")
    empty = here.path / "empty.mp4"
    empty.write_bytes(b"")
    here.refuse(empty, "empty_file")
    zeros = here.path / "zeros.mp4"
    zeros.write_bytes(bytes(100000))
    here.refuse(zeros, "not_media")


def test_an_unknown_codec_is_unsupported(here):
    data = SOURCES["opus.mkv"]().read_bytes().replace(b"A_OPUS", b"A_PLUS")
    source = here.path / "unknown.mkv"
    source.write_bytes(data)
    here.refuse(source, "unsupported_codec")


def test_sound_that_takes_all_memory_is_damaged(here):
    """ALAC whose header says that each frame has sixteen million samples."""
    source = media.make(
        "vast.mov",
        *["-f", "lavfi", "-i", "aevalsrc=0.1*random(0)|0|0|0|0|0|0|0:s=44100:c=7.1(wide):d=2"],
        *["-c:a", "alac"],
    )
    data = bytearray(source.read_bytes())
    at = data.rindex(b"alac") + 8
    assert data[at : at + 4] == (4096).to_bytes(4, "big")
    data[at : at + 4] = (16 * 1024 * 1024 - 1).to_bytes(4, "big")
    path = here.path / "vast.mov"
    path.write_bytes(data)
    here.refuse(path, "damaged")


def test_a_sound_track_without_one_good_frame_is_damaged(here):
    data = SOURCES["faststart.mp4"]().read_bytes()
    music_at = data.index(b"mdat") + 4
    source = here.path / "noise.mp4"
    source.write_bytes(data[:music_at] + b"\xff" * (len(data) - music_at))
    here.refuse(source, "damaged")


@pytest.mark.parametrize("name", ["half.mp4", "whole.mov", "pieces.mp4"])
def test_pictures_between_pieces_of_sound_are_not_read(here, name):
    """The sound is cut into pieces of half a second, a second, and two; as cameras do."""
    film = reading.film(name, 20)
    size = film.stat().st_size
    ranges = reading.ranges(here.path, film)
    assert size > 18_000_000
    assert sum(size for _, size in ranges) < 0.1 * size
    theirs = media.make(f"{name}.mp3", "-i", film, "-vn", "-c:a", "libmp3lame", "-b:a", "128k")
    assert Mp3(here.path / "out.mp3").music == Mp3(theirs).music


def test_of_a_film_whose_pictures_lie_close_nothing_is_read_twice(here):
    film = reading.film("beside.mp4", 20)
    assert sum(size for _, size in reading.ranges(here.path, film)) <= film.stat().st_size

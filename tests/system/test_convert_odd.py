"""Sources that are odd or broken: times that jump, edit lists, sound of another kind in the middle, files
that end too soon, samples and channels of every sort. What is encoded is as long as ffmpeg makes it, in
ffmpeg's own frames; where it is not, the test says what is better."""

import math
import re
import struct
import subprocess

import pytest

import handmade
import lengths
import media
from mp3 import Mp3

AAC = ["-c:a", "aac", "-aac_pns", "0"]  # without noise that decoders make up
OPUS = ["-c:a", "libopus", "-ar", "48000"]


def by_ffmpeg(source, folder):
    """(samples, MP3 or None): what ffmpeg makes of it."""
    pcm, mp3 = folder / "ffmpeg.pcm", folder / "ffmpeg.mp3"
    for path in (pcm, mp3):
        path.unlink(missing_ok=True)
    subprocess.run(
        ["ffmpeg", "-v", "quiet", "-i", source, "-vn", "-ac", "1", "-f", "s16le", pcm]
        + ["-vn", "-c:a", "libmp3lame", "-b:a", "64k", mp3],
        stdin=subprocess.DEVNULL,
    )
    is_made = mp3.exists() and mp3.stat().st_size > 0
    samples = pcm.stat().st_size // 2 if pcm.exists() else 0
    return samples, Mp3(mp3) if is_made and samples > 0 else None


def convert(here, source, *arguments):
    return Mp3(here.convert(source, "--bitrate-kbps", "64", *arguments))


def check_same(here, source, is_resampled=False):
    mine = convert(here, source)
    samples, theirs = by_ffmpeg(source, here.path)
    if not is_resampled:
        assert mine.samples == samples
    assert (mine.samples, mine.channels) == (theirs.samples, theirs.channels)
    assert mine.music == theirs.music
    return mine


def sound(name, *arguments, rate_hz=44100, layout="stereo", seconds=1.5):
    return media.make(f"odd-{name}", *media.music(seconds, rate_hz, layout), *arguments)


def film(name, *arguments):
    return media.make(
        f"odd-{name}", *media.picture(2), *media.music(2), "-c:v", "mpeg4", *arguments
    )


# Times of packets, rewritten: each expression counts in the container's ticks.
TIMES = {
    "ahead": r"setts=ts=TS+if(gte(N\,30)\,2/TB\,0)",
    "far-ahead": r"setts=ts=TS+if(gte(N\,30)\,20/TB\,0)",
    "back": r"setts=ts=TS-if(gte(N\,30)\,0.5/TB\,0)",
    "late": "setts=ts=TS+5000/TB",
    "before-0": "setts=ts=TS-0.4/TB",
    "rough": r"setts=ts=TS+if(mod(N\,7)\,0\,0.004/TB)",
    "slow": "setts=ts=TS*1.3",
    "standing": "setts=ts=0",
    "gap": r"noise=drop=between(n\,20\,40)",
}
TIMES_IN = [(times, container) for times in TIMES for container in ("mkv", "ts", "mp4")] + [
    *[("ahead", "flv"), ("back", "flv"), ("gap", "flv")],
    *[("before-0", "mov"), ("standing", "nut"), ("gap", "avi")],
]


@pytest.mark.parametrize("times, container", TIMES_IN)
def test_whatever_times_say_every_sample_is_kept(here, times, container):
    """As in ffmpeg: a jump is no silence, and nothing is thrown away."""
    source = media.make(
        f"odd-{times}.{container}",
        *["-copyts", "-i", sound("times.mkv", *AAC), "-c", "copy", "-bsf:a", TIMES[times]],
    )
    check_same(here, source)


def boxes(data, begin, end):
    while begin < end:
        size, name = struct.unpack(">I4s", data[begin : begin + 8])
        yield name, begin, size
        begin += size


def box_at(data, *path):
    begin, end = 0, len(data)
    for wanted in path:
        begin, size = next((at, size) for name, at, size in boxes(data, begin, end) if name == wanted)
        begin, end = begin + 8, begin + size
    return begin - 8, end


def edited(source, folder, edits):
    """An MP4 or MOV whose sound has these edits: (milliseconds, begin in samples, rate)."""
    data = bytearray(source.read_bytes())
    begin, end = box_at(data, b"moov", b"trak", b"edts")
    entries = b"".join(struct.pack(">IiHH", *edit, 0) for edit in edits)
    new = struct.pack(">I4sI4sII", 24 + len(entries), b"edts", 16 + len(entries), b"elst", 0, len(edits))
    data[begin:end] = new + entries
    for path in ([b"moov"], [b"moov", b"trak"]):
        at, before = box_at(source.read_bytes(), *path)
        size = before - at + len(new) + len(entries) - (end - begin)
        data[at : at + 4] = struct.pack(">I", size)
    path = folder / f"edited{source.suffix}"
    path.write_bytes(data)
    return path


EDITS = {
    "none": [],
    "everything": [(1500, 0, 1)],
    "nothing-before": [(500, -1, 1), (1500, 1024, 1)],
    "the-middle": [(600, 20000, 1)],
    "two-pieces": [(300, 10000, 1), (300, 40000, 1)],
    "later-first": [(300, 40000, 1), (300, 0, 1)],
    "a-pause": [(300, 0, 1), (700, -1, 1), (500, 30000, 1)],
    "again-and-again": [(300, 10000, 1)] * 3,
    "overlapping": [(400, 0, 1), (400, 10000, 1)],
    "longer-than-it-is": [(400000, 1024, 1)],
    "before-0": [(1000, -5, 1)],
    "twice-as-fast": [(1000, 0, 2)],
    "standing": [(1000, 0, 0)],
    "one-millisecond": [(1, 100, 1)],
    "a-hundred": [(10, 400 * i, 1) for i in range(100)],
}
EDITED = {
    "aac.mp4": lambda: sound("edits-aac.mp4", *AAC),
    "opus.mp4": lambda: sound("edits-opus.mp4", "-c:a", "libopus", rate_hz=48000),
    "mp3.mp4": lambda: sound("edits-mp3.mp4", "-c:a", "libmp3lame"),
    "pcm.mov": lambda: sound("edits-pcm.mov", "-c:a", "pcm_s16le", "-use_editlist", "1"),
}


@pytest.mark.parametrize("name", EDITED)
def test_edit_lists_are_followed_as_ffmpeg_does(here, name):
    source = EDITED[name]()
    for edits in EDITS if name == "aac.mp4" else ("nothing-before", "the-middle", "two-pieces", "a-pause"):
        try:
            check_same(here, edited(source, here.path, EDITS[edits]))
        except AssertionError as error:
            raise AssertionError(f"edits: {edits}") from error


def test_edits_that_leave_nothing_leave_no_sound(here):
    source = EDITED["aac.mp4"]()
    for edits in ([(1000, -1, 1)], [(1000, 500000, 1)], [(0xFFFFFFFF, 0x7FFFFFFF, 1)]):
        here.refuse(edited(source, here.path, edits), "damaged")


@pytest.mark.parametrize("name", lengths.SOURCES)
def test_in_every_container_sound_is_as_long_as_ffmpeg_decodes_it(here, name):
    """What encoders added is taken off in all of them. `scripts/bench lengths` prints these as a table."""
    source = lengths.SOURCES[name]()
    path = here.convert(source, "--copy", "never")
    samples = lengths.samples_of(source, how=lengths.RESAMPLED.get(name, []))
    assert samples > 0
    assert lengths.samples_of(path, Mp3(path).channels) == Mp3(path).samples == samples
    assert "warning" not in here.said


def test_no_container_is_left_out():
    """All that the engine takes, but for second readers of the same files."""
    text = (lengths.ROOT / "src" / "media" / "source_open.c").read_text()
    define = re.search(r"#define FORMATS\b(?:.*\\\n)*.*", text).group(0)
    taken = set("".join(re.findall(r'"([^"]*)"', define)).split(","))
    of_each_kind = {name.rpartition(".")[2]: make for name, make in lengths.SOURCES.items()}
    seen = {name for make in of_each_kind.values() for name in lengths.format_of(make()).split(",")}
    assert len(taken) > 40 and taken - seen == {"asf_o", "live_flv"}


FRAME_SIZES = {
    "flac-192.flac": ["-c:a", "flac", "-frame_size", "192"],
    "flac-1000.ogg": ["-c:a", "flac", "-frame_size", "1000"],
    "flac-65535.mkv": ["-c:a", "flac", "-frame_size", "65535", "-strict", "-2"],
    "vorbis-low.ogg": ["-c:a", "libvorbis", "-q:a", "0"],
    "vorbis-high.mkv": ["-c:a", "libvorbis", "-q:a", "10"],
    "opus-2.5.opus": [*OPUS, "-frame_duration", "2.5", "-application", "lowdelay"],
    "opus-60.mkv": [*OPUS, "-frame_duration", "60"],
    "opus-120.mp4": [*OPUS, "-frame_duration", "120"],
}


@pytest.mark.parametrize("name", FRAME_SIZES)
def test_frames_may_have_any_size(here, name):
    check_same(here, sound(name, *FRAME_SIZES[name]))


SAMPLE_FORMATS = (
    "u8 s8 s16le s16be s24le s24be s32le s32be s64le f32le f32be f64le f64be alaw mulaw u16le u24be "
    "u32le s8_planar s16le_planar s24le_planar s32le_planar"
)


def samples_in(sample_format, rate_hz, layout):
    """NUT holds all of them, if not by a name of its own."""
    return media.make(
        f"odd-{sample_format}-{rate_hz}-{layout}.nut",
        *media.music(0.4, rate_hz, layout),
        *["-c:a", f"pcm_{sample_format}"],
    )


@pytest.mark.parametrize("sample_format", SAMPLE_FORMATS.split())
def test_samples_of_every_format_give_ffmpegs_frames(here, sample_format):
    check_same(here, samples_in(sample_format, 44100, "stereo"))


KINDS = [("stereo", 96000), ("mono", 50000), ("5.1", 48000), ("5.1", 192000)]


@pytest.mark.parametrize("layout, rate_hz", KINDS)
@pytest.mark.parametrize("sample_format", ["u8", "s16le", "s24le", "s64le", "f32le"])
def test_whole_numbers_are_resampled_and_mixed_as_ffmpeg_does(here, sample_format, layout, rate_hz):
    """Whole numbers stay whole, and their mix is made softer, so that it cannot be too loud."""
    check_same(here, samples_in(sample_format, rate_hz, layout), is_resampled=rate_hz != 48000)


def test_a_mix_of_whole_numbers_is_never_cut_off(here):
    loud = "|".join(["0.99*sin(2764.6*t)"] * 6)
    source = media.make(
        "odd-loud.wav", "-f", "lavfi", "-i", f"aevalsrc={loud}:s=44100:c=5.1:d=0.5", "-c:a", "pcm_s16le"
    )
    samples = memoryview(media.pcm(here.convert(source))).cast("h")
    assert 28000 < max(abs(sample) for sample in samples[8820:-8820]) < 32767


@pytest.mark.parametrize("rate_hz", [1000, 5512, 8000, 37800, 44056, 88200, 192000, 384000, 768000])
def test_rates_of_every_kind_are_played_as_fast_as_they_were(here, rate_hz):
    count = min(rate_hz, 200000)
    source = handmade.wav(here.path / "rate.wav", rate_hz, [handmade.chirp(count)])
    mine = check_same(here, source, is_resampled=True)
    assert abs(mine.samples - count * mine.rate_hz / rate_hz) <= 1


LAYOUTS = "2.1 3.0 3.1 4.0 quad 5.0 5.1(side) 6.1 7.1 7.1(wide) octagonal 22.2"


@pytest.mark.parametrize("layout", LAYOUTS.split())
def test_layouts_of_every_kind_are_mixed_as_ffmpeg_does(here, layout):
    signal = "|".join(f"0.2*sin({300 + 200 * i}*t*(1+t))" for i in (0, 1))
    source = media.make(
        f"odd-layout-{layout}.wav",
        *["-f", "lavfi", "-i", f"aevalsrc={signal}:s=48000:c=stereo:d=0.4"],
        *["-af", f"aformat=channel_layouts={layout}", "-c:a", "pcm_s16le"],
    )
    check_same(here, source)


@pytest.mark.parametrize("channels", [4, 6, 8, 16])
def test_channels_without_names_are_those_that_so_many_mostly_are(here, channels):
    chirps = [handmade.chirp(9000, 200 + 50 * i) for i in range(channels)]
    check_same(here, handmade.wav(here.path / "channels.wav", 48000, chirps))


@pytest.mark.parametrize("channels", [9, 17, 64])
def test_of_channels_that_nobody_has_named_the_first_two_are_heard(here, channels):
    """ffmpeg gives up."""
    tones = [handmade.chirp(9000, 300), [0] * 9000] + [handmade.chirp(9000, 900)] * (channels - 2)
    source = handmade.wav(here.path / "channels.wav", 48000, tones)
    assert by_ffmpeg(source, here.path)[1] is None
    path = here.convert(source)
    assert (Mp3(path).samples, Mp3(path).channels) == (9000, 2)
    samples = memoryview(media.pcm(path)).cast("h")
    assert max(samples[0::2]) > 5000 and max(samples[1::2]) < 200


def test_more_channels_than_anybody_mixes_are_refused(here):
    source = handmade.wav(here.path / "channels.wav", 48000, [[0] * 100] * 65)
    assert "65 channels" in here.refuse(source, "unsupported_codec")


def test_one_channel_is_heard_on_both_sides_whatever_its_name(here):
    """Of a lone front left, ffmpeg makes stereo that is silent on the right."""
    source = media.make(
        "odd-left.wav", *media.music(0.5, 48000, "mono"), "-af", "channelmap=0:FL", "-c:a", "pcm_s16le"
    )
    assert by_ffmpeg(source, here.path)[1].channels == 2
    assert convert(here, source).channels == 1


@pytest.mark.parametrize("letter", ["f", "d"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -3e38])
def test_a_number_that_is_none_is_silence_and_one_too_large_is_loud(here, bad, letter):
    """ffmpeg gives up."""
    samples = [s / 32768 for s in handmade.chirp(20000)]
    samples[9000:9100] = [bad] * 100
    source = handmade.wav(here.path / "bad.wav", 44100, [samples], letter)
    assert by_ffmpeg(source, here.path)[1] is None
    path = here.convert(source)
    assert Mp3(path).samples == 20000
    found = memoryview(media.pcm(path)).cast("h")
    assert 7000 < max(found[1000:7000]) < 10000 and 7000 < max(found[12000:19000]) < 10000
    loudest = max(abs(sample) for sample in found[9030:9070])
    assert loudest < 8000 if math.isnan(bad) else loudest > 32000


@pytest.mark.parametrize("loud", [1.01, 4.0, 15.9])
def test_float_that_is_louder_than_full_scale_stays_so(here, loud):
    samples = [s / 32768 for s in handmade.chirp(20000)]
    samples[9000:9100] = [loud] * 100
    check_same(here, handmade.wav(here.path / "loud.wav", 44100, [samples], "f"))


# Sound that becomes another kind of sound: (rate, layout) of each piece. Those that are files of their own
# are only two.
CHANGES = {
    "rate-up": [(44100, "stereo"), (48000, "stereo"), (44100, "stereo")],
    "rate-down": [(44100, "stereo"), (22050, "mono"), (44100, "stereo")],
    "half": [(22050, "mono"), (44100, "stereo"), (22050, "mono")],
    "to-mono": [(48000, "stereo"), (48000, "mono"), (48000, "stereo")],
    "to-stereo": [(48000, "mono"), (48000, "stereo"), (48000, "mono")],
}
RAW_MP3 = ["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"]
# What joins the pieces, as files; and the container that holds what was joined.
CHANGING = {
    "adts.aac": ("aac", AAC, None),
    "adts.ts": ("aac", AAC, "mpegts"),
    "frames.mp3": ("mp3", RAW_MP3, None),
    "frames.avi": ("mp3", RAW_MP3, "avi"),
    "frames.mkv": ("mp3", RAW_MP3, "matroska"),
    "two.ts": ("ts", AAC, None),
    "chained.ogg": ("ogg", ["-c:a", "libvorbis"], None),
    "chained-flac.ogg": ("ogg", ["-c:a", "flac"], None),
}
CHANGES_IN = [
    *[("rate-up", "adts.aac"), ("rate-up", "frames.mkv"), ("rate-up", "chained.ogg")],
    *[("rate-down", "adts.aac"), ("rate-down", "frames.mkv"), ("rate-down", "chained.ogg")],
    *[("half", "adts.ts"), ("half", "frames.avi"), ("rate-up", "two.ts"), ("rate-up", "chained-flac.ogg")],
    *[("to-mono", "adts.ts"), ("to-mono", "frames.mp3"), ("to-mono", "chained.ogg")],
    *[("to-stereo", "adts.ts"), ("to-stereo", "frames.mp3"), ("to-stereo", "chained.ogg")],
]


def joined(folder, name, pieces):
    """(the source, the pieces that it consists of)."""
    ending, encoding, container = CHANGING[name]
    files = [
        sound(f"piece-{name}-{rate}-{layout}.{ending}", *encoding, rate_hz=rate, layout=layout, seconds=0.8)
        for rate, layout in pieces
    ]
    path = folder / f"joined.{ending}"
    path.write_bytes(b"".join(file.read_bytes() for file in files))
    if container is None:
        return path, files
    inside = folder / f"inside-{name}"
    subprocess.run(
        ["ffmpeg", "-v", "quiet", "-y", "-i", path, "-c", "copy", "-f", container, inside],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return inside, files


def common_frames(ours, theirs):
    """How many whole frames of 64 kb/s are the same at the beginning."""
    count = next((i for i, (a, b) in enumerate(zip(ours.music, theirs.music)) if a != b), len(theirs.music))
    return count * 8 / 64000 * ours.rate_hz / (1152 if ours.rate_hz >= 32000 else 576)


@pytest.mark.parametrize("change, name", CHANGES_IN)
def test_where_sound_changes_its_kind_nothing_is_lost(here, change, name):
    """ffmpeg drops up to a frame at each change, and the resampler's last samples. Until there, the
    frames are its own."""
    pieces = CHANGES[change] if not name.startswith(("chained", "two")) else CHANGES[change][:2]
    source, files = joined(here.path, name, pieces)
    mine = convert(here, source)
    samples, theirs = by_ffmpeg(source, here.path)
    assert mine.rate_hz == theirs.rate_hz == pieces[0][0]
    assert mine.channels == (2 if pieces[0][1] == "stereo" else 1)
    assert samples <= mine.samples <= samples + 64
    assert mine.samples >= theirs.samples
    lengths = [len(media.pcm(f, "-ac", "1")) / 2 * mine.rate_hz / rate for f, (rate, _) in zip(files, pieces)]
    # A chain's second link, and a second stream, may say differently what encoders added.
    assert abs(mine.samples - sum(lengths)) <= 2 * 2048
    first = 0.8 * mine.rate_hz / (1152 if mine.rate_hz >= 32000 else 576)
    assert common_frames(mine, theirs) > first - 4


def test_sound_that_becomes_twice_as_fast_by_its_spectrum_alone(here):
    """Packets of AAC that say they are the lower half of a spectrum (SBR), and some that do not."""
    plain = sound("sbr.aac", *AAC, rate_hz=22050, layout="mono", seconds=2).read_bytes()
    source = here.path / "sbr.aac"
    source.write_bytes(handmade.adts_with_sbr(plain, lambda i: not 30 <= i < 50))
    mine = convert(here, source)
    samples, theirs = by_ffmpeg(source, here.path)
    assert mine.rate_hz == theirs.rate_hz == 44100
    assert samples <= mine.samples <= samples + 64


CUT = {
    "frames.mp4": lambda: film("cut.mp4", *AAC, "-movflags", "faststart"),
    "pieces.mp4": lambda: film("cut-pieces.mp4", *AAC, "-movflags", "frag_keyframe+empty_moov"),
    "aac.mkv": lambda: film("cut.mkv", *AAC),
    "opus.webm": lambda: sound("cut.webm", "-c:a", "libopus", rate_hz=48000),
    "aac.ts": lambda: film("cut.ts", *AAC),
    "aac.flv": lambda: film("cut.flv", "-c:v", "flv", *AAC),
    "mp3.avi": lambda: film("cut.avi", "-c:a", "libmp3lame"),
    "wma.wmv": lambda: film("cut.wmv", "-c:a", "wmav2"),
    "vorbis.ogg": lambda: sound("cut.ogg", "-c:a", "libvorbis"),
    "cut.flac": lambda: sound("cut.flac"),
    "cut.wav": lambda: sound("cut.wav", "-c:a", "pcm_s24le"),
    "cut.wv": lambda: sound("cut.wv", "-c:a", "wavpack"),
    "cut.aac": lambda: sound("cut.aac", *AAC),
    "cut.mp3": lambda: sound("cut.mp3", "-c:a", "libmp3lame"),
    "cut.nut": lambda: film("cut.nut", *AAC),
}


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_ends_anywhere_gives_what_ffmpeg_gets_out_of_it(here, name):
    whole = CUT[name]().read_bytes()
    for size in (len(whole) // 3 + 1, len(whole) - 1):
        source = here.path / f"cut-{name}"
        source.write_bytes(whole[:size])
        samples, theirs = by_ffmpeg(source, here.path)
        if theirs is None:
            here.refuse(source, "damaged")
            continue
        mine = convert(here, source, "--copy", "never")
        assert mine.samples == samples, size
        assert mine.music == theirs.music, size

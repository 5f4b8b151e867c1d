"""A hundred files, one unlike the other, and what is wished of each; the same in every run.

Every container that the engine takes (FORMATS in src/media/source_open.c), but for those that nothing on a
Debian writes: Monkey's Audio, Musepack, TAK, DTS-HD. Three are written here by hand. A part of them is
cut, has a hole, or other bytes in it."""

import dataclasses
import random
import struct
import subprocess
import zlib

PROGRAMME_SECONDS = 190
# What is wished in turn: names of options of `tapedeck convert`, and their values.
WISHES = [
    "",
    "bitrate-kbps=64",
    "vbr-quality=2",
    "bitrate-kbps=320 channels=2",
    "loudness-lufs=-16",
    "bitrate-kbps=24 sample-rate-hz=8000 channels=1",
    "start-seconds=1.5",
    "vbr-quality=0 sample-rate-hz=48000",
    "start-seconds=0.25 end-seconds=50.5 bitrate-kbps=96",
    "vbr-quality=9 sample-rate-hz=22050",
    "loudness-lufs=-8 vbr-quality=5",
    "bitrate-kbps=160 sample-rate-hz=32000",
    "end-seconds=2 channels=1",
    "loudness-lufs=-23 start-seconds=3 bitrate-kbps=56 sample-rate-hz=16000",
    "bitrate-kbps=128 sample-rate-hz=11025",
    "copy=never tags=none",
    "title=Ein_Titel artist=Wer year=2026 track=1",
    "start-seconds=40 end-seconds=45.123 loudness-lufs=-14",
]
SECONDS = [0.1, 2, 75, 0.5, 11, 42, 5, 180, 1, 25]
RATES = [44100, 48000, 8000, 32000, 16000, 22050, 96000, 11025]
CHANNELS = [2, 1, 6, 2, 1, 2, 8]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A container with a codec in it, and what the two can do."""

    ending: str
    codec: str  # ffmpeg's options
    rates: tuple = tuple(RATES)
    channels: tuple = (1, 2)
    video: str = ""  # options of the pictures' codec; none if empty
    seconds_max: float = 180
    seconds_least: float = 0


ANY = (1, 2, 6, 8)
HIGH = (44100, 48000, 32000)
MPEG = (44100, 48000, 32000, 22050, 16000)
PICTURES = "-c:v mpeg4 -g 10"
MPEG2 = "-c:v mpeg2video -g 10"
OPUS = (48000, 16000, 8000)

KINDS = [
    Kind("3gp", "-c:a aac", MPEG, (1, 2), PICTURES),
    Kind("aac", "-c:a aac -f adts", (*MPEG, 96000, 8000), (1, 2, 6)),
    Kind("loas", "-c:a aac -f latm", MPEG, (1, 2)),
    Kind("ac3", "-c:a ac3", HIGH, (1, 2, 6)),
    Kind("eac3", "-c:a eac3", HIGH, (1, 2, 6)),
    Kind("aiff", "-c:a pcm_s16be", RATES, ANY),
    Kind("aiff", "-c:a pcm_s24be -f aiff", RATES),
    Kind("asf", "-c:a wmav2", HIGH, video="-c:v msmpeg4"),
    Kind("wma", "-c:a wmav1 -f asf", HIGH),
    Kind("au", "-c:a pcm_mulaw"),
    Kind("au", "-c:a pcm_f64be", RATES, ANY),
    Kind("avi", "-c:a libmp3lame -b:a 128k", HIGH, video=PICTURES),
    Kind("avi", "-c:a pcm_s16le", RATES, (1, 2, 6), PICTURES),
    Kind("avi", "-c:a ac3", HIGH, (2, 6), PICTURES),
    Kind("avi", "-c:a adpcm_ms", (44100, 22050), video=PICTURES),
    Kind("caf", "-c:a alac", HIGH, (1, 2, 6)),
    Kind("caf", "-c:a pcm_s32le", RATES, ANY),
    Kind("caf", "-c:a pcm_alaw", (8000,)),
    Kind("dts", "-c:a dca -strict -2", (44100, 48000), (2, 6)),
    Kind("dv", "-c:a pcm_s16le -target pal-dv", (48000,), (2,), "-s 720x576 -r 25", 5),
    Kind("flac", "-c:a flac", (*RATES, 192000), (1, 2, 6, 8)),
    Kind("flac", "-c:a flac -sample_fmt s32 -frame_size 65535"),
    Kind("flv", "-c:a aac", (44100, 48000), video="-c:v flv"),
    Kind("flv", "-c:a libmp3lame", (44100, 22050), video="-c:v flv"),
    Kind("flv", "-c:a nellymoser", (44100, 22050, 11025), (1,)),
    Kind("flv", "-c:a adpcm_swf", (44100, 22050)),
    Kind("m4a", "-c:a aac -b:a 48k", MPEG, (1, 2, 6)),
    Kind("m4a", "-c:a alac -f ipod", HIGH, (1, 2, 6)),
    Kind("mkv", "-c:a libopus", OPUS, (1, 2, 6), PICTURES),
    Kind("mkv", "-c:a libvorbis", HIGH, (1, 2, 6), PICTURES),
    Kind("mkv", "-c:a flac", HIGH, ANY, PICTURES),
    Kind("mkv", "-c:a pcm_f64le", RATES, ANY),
    Kind("mkv", "-c:a tta", HIGH),
    Kind("mkv", "-c:a wavpack", RATES),
    Kind("mkv", "-c:a truehd -strict -2", (48000, 96000), (2, 6)),
    Kind("mkv", "-c:a mlp -strict -2", (48000, 96000), (2, 6)),
    Kind("mkv", "-c:a libmp3lame -b:a 192k", HIGH, video=PICTURES),
    Kind("mkv", "-c:a ac3", HIGH, (1, 2, 6), PICTURES),
    Kind("mka", "-c:a mp2 -f matroska", (*HIGH, 24000)),
    Kind("mov", "-c:a pcm_s16be", RATES, ANY, PICTURES),
    Kind("mov", "-c:a adpcm_ima_qt", (44100, 22050), video=PICTURES),
    Kind("mov", "-c:a pcm_s8", (22050, 11025)),
    Kind("mov", "-c:a aac", MPEG, (1, 2, 6), PICTURES),
    Kind("mp3", "-c:a libmp3lame -q:a 2", MPEG),
    Kind("mp3", "-c:a libmp3lame -b:a 64k -write_xing 0", (22050, 16000, 8000)),
    Kind("mp3", "-c:a libmp3lame -b:a 320k", HIGH),
    Kind("mp4", "-c:a aac", MPEG, (1, 2, 6, 8), PICTURES),
    Kind("mp4", "-c:a libmp3lame", HIGH, video=PICTURES),
    Kind("mp4", "-c:a libopus -strict -2", OPUS, (1, 2), PICTURES),
    Kind("mp4", "-c:a flac -strict -2", HIGH, (1, 2), PICTURES),
    Kind("mp4", "-c:a aac -movflags frag_keyframe+empty_moov", MPEG, (1, 2), PICTURES),
    Kind("mp4", "-c:a ac3", HIGH, (2, 6), PICTURES),
    Kind("mpg", "-c:a mp2 -f mpeg", HIGH, video=MPEG2),
    Kind("vob", "-c:a pcm_dvd", (48000,), (2,), MPEG2),
    Kind("vob", "-c:a ac3", HIGH, (2, 6), MPEG2),
    Kind("ts", "-c:a aac", MPEG, (1, 2, 6), MPEG2),
    Kind("ts", "-c:a mp2", HIGH, video=MPEG2),
    Kind("ts", "-c:a libopus", OPUS),
    Kind("ts", "-c:a s302m -strict -2", (48000,), (2, 6)),
    Kind("m2ts", "-c:a ac3 -f mpegts -mpegts_m2ts_mode 1", HIGH, (2, 6)),
    Kind("mxf", "-c:a pcm_s16le", (48000,), (1, 2), MPEG2),
    Kind("nut", "-c:a pcm_u8"),
    Kind("nut", "-c:a pcm_s64le -strict -2", RATES, ANY),
    Kind("ogg", "-c:a libvorbis", HIGH, (1, 2, 6)),
    Kind("ogg", "-c:a libopus", OPUS, (1, 2, 6)),
    Kind("ogg", "-c:a flac", RATES),
    Kind("ogg", "-c:a libspeex", (32000, 16000, 8000)),
    Kind("rm", "-c:a real_144", (8000,), (1,)),
    Kind("rm", "-c:a ac3", HIGH, (2,), "-c:v rv20"),
    Kind("tta", "-c:a tta"),
    Kind("thd", "-c:a truehd -strict -2 -f truehd", (48000, 96000), (2, 6), seconds_least=2),
    Kind("voc", "-c:a pcm_u8"),
    Kind("w64", "-c:a pcm_s24le", (*RATES, 192000), ANY),
    Kind("wav", "-c:a pcm_u8"),
    Kind("wav", "-c:a pcm_s16le", RATES, ANY),
    Kind("wav", "-c:a pcm_f32le", (*RATES, 192000), ANY),
    Kind("wav", "-c:a adpcm_ima_wav", (44100, 22050, 11025)),
    Kind("wav", "-c:a libgsm_ms", (8000,), (1,)),
    Kind("wav", "-c:a libmp3lame", HIGH),
    Kind("wav", "-c:a g722", (16000,), (1,)),
    Kind("wav", "-c:a pcm_s16le -rf64 always", RATES),
    Kind("webm", "-c:a libopus", OPUS, video="-c:v libvpx -deadline realtime"),
    Kind("webm", "-c:a libvorbis", HIGH, (1, 2)),
    Kind("wtv", "-c:a mp2", HIGH, video=MPEG2),
    Kind("wv", "-c:a wavpack", RATES, (1, 2, 6)),
]
# More of the same, which is then spoilt, and long enough for several encoders.
SPOILT = [
    ("mp4", "-c:a aac", PICTURES, "cut"),
    ("mkv", "-c:a libopus", PICTURES, "hole"),
    ("ts", "-c:a aac", MPEG2, "hole"),
    ("mp3", "-c:a libmp3lame", "", "noise"),
    ("flac", "-c:a flac", "", "noise"),
    ("ogg", "-c:a libvorbis", "", "hole"),
    ("avi", "-c:a libmp3lame", PICTURES, "cut"),
    ("mov", "-c:a alac", PICTURES, "noise"),
    ("wav", "-c:a pcm_s24le", "", "cut"),
    ("ts", "-c:a ac3", MPEG2, "noise"),
    ("asf", "-c:a wmav2", "", "noise"),
    ("mp3", "-c:a libmp3lame -b:a 128k", "", "hole"),
]


@dataclasses.dataclass(frozen=True)
class File:
    """One of the corpus: how it is made, and what is done with it."""

    name: str
    kind: Kind
    seconds: float
    rate: int
    channels: int
    damage: str
    extras: str  # "chapters", "cover" or neither
    wishes: tuple  # of options
    threads: int


def files():
    made = []

    def add(kind, number, damage="", seconds=None):
        rate = _in_turn(kind.rates, RATES, number)
        channels = _in_turn(kind.channels, CHANNELS, number)
        seconds = seconds or SECONDS[number * 3 % len(SECONDS)]
        seconds = max(min(seconds, kind.seconds_max), kind.seconds_least)
        extras = ""
        if kind.ending in ("mp4", "m4a", "mkv", "mp3", "flac"):
            extras = ["", "chapters", "cover", ""][number % 4]
        codec = kind.codec.split()[1]
        wishes = [WISHES[number % len(WISHES)]]
        if number % 2 == 0:
            wishes.append(WISHES[(7 * number + 4) % len(WISHES)])
        if "mp3" in codec and "" not in wishes:
            wishes.append("")  # it can be copied
        made.append(
            File(
                name=f"{number:03}-{codec}{'-' if damage else ''}{damage}.{kind.ending}",
                kind=kind,
                seconds=seconds,
                rate=rate,
                channels=channels,
                damage=damage,
                extras=extras,
                wishes=tuple(wishes),
                threads=1 + number % 4,
            )
        )

    for number, kind in enumerate(KINDS):
        add(kind, number)
    for ending, codec, video, damage in SPOILT:
        rates = OPUS if "opus" in codec else HIGH
        add(Kind(ending, codec, rates, (1, 2), video), len(made), damage, seconds=70)
    for ending in HAND_WRITTEN:
        add(Kind(ending, f"-c:a {ending}"), len(made))
    return made


def _in_turn(possible, all_of_them, number):
    """The first of all, from the number-th on, that is possible."""
    order = all_of_them[number % len(all_of_them) :] + all_of_them
    return next((one for one in order if one in possible), possible[0])


# ---- How they are made ----


def ffmpeg(*arguments):
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def make_programme(folder):
    """What all of them hold a part of: swelling chords, chirps, noise, words, and silence."""
    chord = "(sin(1380*t)+sin(1740*t)+0.7*sin(2070*t))*(0.6+0.4*sin(1.3*t))"
    words = "0.4*sin(1100*t)*sin(7000*t)*pow(sin(2.2*t)\\,2)"
    parts = [
        f"0.15*{chord}*lt(mod(t\\,23)\\,9)+0.2*sin({300 + 90 * i}*t*(1+0.02*t))*gt(mod(t\\,17)\\,8)"
        f"+{words}*gt(mod(t\\,29)\\,18)+0.2*(random({i})-0.5)*gt(mod(t\\,11)\\,9)"
        for i in range(2)
    ]
    path = folder / "programme.wav"
    ffmpeg(
        *["-f", "lavfi", "-i", f"aevalsrc={'|'.join(parts)}:s=48000:c=stereo:d={PROGRAMME_SECONDS}"],
        *["-c:a", "pcm_s16le", "-bitexact", path],
    )


def make_silence(folder):
    path = folder / "silence.wav"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=d=1", path)
    return path


def make(file, folder):
    path = folder / file.name
    if file.kind.ending in HAND_WRITTEN:
        path.write_bytes(HAND_WRITTEN[file.kind.ending](file, folder))
    else:
        _make_by_ffmpeg(file, folder, path)
    if file.damage:
        data = bytearray(path.read_bytes())
        DAMAGES[file.damage](data, random.Random(zlib.crc32(file.name.encode())))
        path.write_bytes(data)
    return path


LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def _make_by_ffmpeg(file, folder, path):
    inputs, maps = ["-t", file.seconds, "-i", folder / "programme.wav"], []
    if file.kind.video:
        inputs += ["-f", "lavfi", "-i", f"testsrc=s=96x80:r=25:d={file.seconds}"]
        maps += ["-map", "1:v", *file.kind.video.split()]
    maps += ["-map", "0:a"]
    if file.extras == "chapters":
        inputs += ["-i", _chapters(file, folder)]
        maps += ["-map_metadata", inputs.count("-i") - 1, "-map_chapters", inputs.count("-i") - 1]
    if file.extras == "cover" and not file.kind.video:
        inputs += ["-f", "lavfi", "-i", "testsrc=s=200x200:d=0.04:r=25"]
        maps += ["-map", f"{inputs.count('-i') - 1}:v", "-c:v", "png", "-disposition:v", "attached_pic"]
    ffmpeg(
        *inputs,
        *maps,
        *["-ar", file.rate, "-ac", file.channels, "-channel_layout:a", LAYOUTS[file.channels]],
        *["-metadata", "title=Ein Titel", "-metadata", "artist=Wer"],
        *["-bitexact", "-fflags", "+bitexact", "-flags", "+bitexact", "-threads", 1],
        *file.kind.codec.split(),
        path,
    )


def _chapters(file, folder):
    path = folder / f"{file.name}.chapters"
    third = int(file.seconds * 1000 / 3)
    path.write_text(
        ";FFMETADATA1\n"
        + "".join(
            f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={i * third}\nEND={(i + 1) * third}\ntitle=Teil {i}\n"
            for i in range(3)
        )
    )
    return path


def _cut(data, _):
    del data[len(data) * 3 // 5 :]


def _hole(data, _):
    del data[len(data) // 3 : len(data) // 3 + len(data) // 20 + 77]


def _noise(data, chance):
    """Not in what is read first: that would be no file of its kind any more."""
    for _ in range(200):
        data[chance.randrange(len(data) // 50 + 64, len(data))] = chance.randrange(256)


DAMAGES = {"cut": _cut, "hole": _hole, "noise": _noise}


def _amr(file, _):
    """Frames of 12.2 kb/s, of chance."""
    chance = random.Random(1)
    return b"#!AMR\n" + b"".join(b"\x3c" + chance.randbytes(31) for _ in range(int(file.seconds * 50) + 1))


def _dsf(_, __):
    """Two channels of DSD64, of chance, for a second."""
    chance, blocks, rate = random.Random(2), 86, 2822400
    data = chance.randbytes(4096 * 2 * blocks)
    form = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 2, 2, rate, 1, blocks * 4096 * 8, 4096, 0)
    head = struct.pack("<4sQQQ", b"DSD ", 28, 28 + 52 + 12 + len(data), 0)
    return head + form + struct.pack("<4sQ", b"data", 12 + len(data)) + data


def _xwma(_, folder):
    """The packets of Windows Media in the RIFF of games, which go with other settings of the decoder than
    ffmpeg writes: it is refused, as damaged."""
    packets = folder / "packets"
    ffmpeg(
        *["-t", 5, "-i", folder / "programme.wav", "-map", "0:a", "-ar", 44100, "-ac", 2, "-b:a", "96k"],
        *["-c:a", "wmav2", "-flags", "+bitexact", "-f", "data", packets],
    )
    data = packets.read_bytes()
    form = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 0x161, 2, 44100, 12000, 557, 16, 0)
    body = b"XWMA" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


HAND_WRITTEN = {"amr": _amr, "dsf": _dsf, "xwma": _xwma}

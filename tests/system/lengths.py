"""A source in each container that the engine takes, to compare how long it is with how long its MP3 is."""

import pathlib
import subprocess

import handmade
import media

ROOT = pathlib.Path(__file__).resolve().parents[2]
AAC = ["-c:a", "aac", "-aac_pns", "0"]
MP3 = ["-c:a", "libmp3lame"]
OPUS = ["-c:a", "libopus", "-ar", "48000"]
VORBIS = ["-c:a", "libvorbis"]
MPEG2 = ["-r", "25", "-c:v", "mpeg2video"]


def sound(name, *arguments, rate_hz=44100, layout="stereo"):
    return media.make(f"length-{name}", *media.music(1.2, rate_hz, layout), *arguments)


def film(name, *arguments, rate_hz=44100):
    return media.make(f"length-{name}", *media.picture(2), *media.music(2, rate_hz), *arguments)


def tape():
    """A DV film has pictures of one size and rate."""
    return media.make(
        "length-film.dv",
        *["-f", "lavfi", "-i", "color=s=720x576:r=25:d=1", *media.music(1, 48000)],
        *["-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le"],
    )


def made_by_hand(name):
    def make():
        path = media.folder() / f"length-{name}"
        if not path.exists():
            path.write_bytes(handmade.FILES[name]())
        return path

    return make


SOURCES = {
    "aac.mp4": lambda: film("aac.mp4", "-c:v", "mpeg4", *AAC),
    "aac-fragments.mp4": lambda: sound("f.mp4", *AAC, "-movflags", "frag_every_frame+empty_moov"),
    "aac-late-index.mp4": lambda: sound("d.mp4", *AAC, "-movflags", "frag_every_frame+delay_moov"),
    "aac-no-edits.mp4": lambda: sound("e.mp4", *AAC, "-use_editlist", "0"),
    "mp3.mp4": lambda: sound("mp3.mp4", *MP3),
    "opus.mp4": lambda: sound("opus.mp4", *OPUS),
    "vorbis.mp4": lambda: sound("vorbis.mp4", *VORBIS),
    "pcm.mov": lambda: film("pcm.mov", "-c:v", "mpeg4", "-c:a", "pcm_s24le"),
    "mp3.mov": lambda: sound("mp3.mov", *MP3),
    "alac.m4a": lambda: sound("alac.m4a", "-c:a", "alac"),
    "aac.3gp": lambda: sound("aac.3gp", *AAC),
    "aac.mkv": lambda: film("aac.mkv", "-c:v", "mpeg4", *AAC),
    "mp3.mkv": lambda: sound("mp3.mkv", *MP3),
    "vorbis.mkv": lambda: sound("vorbis.mkv", *VORBIS),
    "opus.webm": lambda: sound("opus.webm", *OPUS),
    "aac.ts": lambda: film("aac.ts", "-c:v", "mpeg4", *AAC),
    "opus.ts": lambda: sound("opus.ts", *OPUS),
    "mp3.ts": lambda: sound("mp3.ts", *MP3),
    "mp2.mpg": lambda: film("mp2.mpg", *MPEG2, "-c:a", "mp2"),
    "aac.flv": lambda: film("aac.flv", "-c:v", "flv", *AAC),
    "mp3.flv": lambda: sound("mp3.flv", *MP3),
    "mp3.avi": lambda: film("mp3.avi", "-c:v", "mpeg4", *MP3),
    "aac.nut": lambda: sound("aac.nut", *AAC),
    "wmav2.wmv": lambda: film("wmav2.wmv", "-c:v", "mpeg4", "-c:a", "wmav2"),
    "mp2.wtv": lambda: film("mp2.wtv", *MPEG2, "-c:a", "mp2"),
    "pcm.mxf": lambda: film("pcm.mxf", *MPEG2, "-c:a", "pcm_s16le", rate_hz=48000),
    "pcm.dv": tape,
    "ac3.rm": lambda: sound("ac3.rm", "-c:a", "ac3"),
    "vorbis.ogg": lambda: sound("vorbis.ogg", *VORBIS),
    "flac.ogg": lambda: sound("flac.ogg", "-c:a", "flac"),
    "music.opus": lambda: sound("music.opus", *OPUS),
    "speech.opus": lambda: sound("speech.opus", "-c:a", "libopus", rate_hz=8000, layout="mono"),
    "music.flac": lambda: sound("music.flac"),
    "music.mp3": lambda: sound("music.mp3", *MP3),
    "mpeg-2.5.mp3": lambda: sound("mpeg-2.5.mp3", *MP3, rate_hz=8000, layout="mono"),
    "music.aac": lambda: sound("music.aac", *AAC),
    "aac.loas": lambda: sound("music.loas", *AAC, "-f", "latm"),
    "music.ac3": lambda: sound("music.ac3", "-c:a", "ac3"),
    "music.eac3": lambda: sound("music.eac3", "-c:a", "eac3"),
    "music.dts": lambda: sound("music.dts", "-c:a", "dca", "-strict", "-2", rate_hz=48000),
    "music.thd": lambda: sound("music.thd", "-c:a", "truehd", "-strict", "-2", "-f", "truehd"),
    "music.tta": lambda: sound("music.tta"),
    "music.wv": lambda: sound("music.wv", "-c:a", "wavpack"),
    "music.wav": lambda: sound("music.wav", "-c:a", "pcm_f32le"),
    "adpcm.wav": lambda: sound("adpcm.wav", "-c:a", "adpcm_ms"),
    "music.w64": lambda: sound("music.w64"),
    "music.aiff": lambda: sound("music.aiff"),
    "mulaw.au": lambda: sound("mulaw.au", "-c:a", "pcm_mulaw", rate_hz=8000, layout="mono"),
    "music.caf": lambda: sound("music.caf"),
    "music.voc": lambda: sound("music.voc"),
    **{name: made_by_hand(name) for name in handmade.FILES},
}


def format_of(path):
    """As ffmpeg calls it."""
    command = ["ffprobe", "-v", "error", "-show_entries", "format=format_name", "-of", "default=nw=1:nk=1"]
    return subprocess.run([*command, path], check=True, capture_output=True, text=True).stdout.strip()


def channels_of(path):
    command = ["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=channels"]
    shown = subprocess.run([*command, "-of", "csv=p=0", path], check=True, capture_output=True, text=True)
    return int(shown.stdout.split()[0].strip(","))


# No MP3 has so many samples a second: the length is that of the sound at the rate of its MP3.
RESAMPLED = {"one-bit.dsf": ["-ar", "48000"]}


def samples_of(path, channels=None, how=()):
    """By decoding all of it: `ffmpeg -i F -f s16le`."""
    return len(media.pcm(path, *how)) // 2 // (channels or channels_of(path))

"""Films to convert: small moving pictures, with music and speech that LAME has to work for."""

import subprocess

from bench import ROOT, sample

SOUND = ROOT / "build-release" / "tests" / "bench" / "bench_sound"


def sound(path, seconds, *encoding):
    """So much of it, the same each time."""
    programme = subprocess.Popen([SOUND, str(seconds)], stdout=subprocess.PIPE)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ar", "44100", "-ac", "2", "-i", "-"]
    subprocess.run([*command, *encoding, path], check=True, stdin=programme.stdout)
    programme.stdout.close()
    assert programme.wait() == 0
    return path


def film(path, track):
    """Pictures, which come again each minute, beside that sound as it is."""
    pictures = path.parent / "pictures.mp4"
    if not pictures.exists():
        sample(
            pictures,
            *["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=60"],
            *["-c:v", "mpeg4", "-b:v", "300k"],
        )
    return sample(
        path,
        *["-stream_loop", "-1", "-i", pictures, "-i", track],
        *["-map", "0:v", "-map", "1:a", "-c", "copy", "-shortest", "-movflags", "faststart"],
    )


def again(path, source, times):
    """The same so many times over, in another file, whatever its container."""
    return sample(path, "-stream_loop", times - 1, "-i", source, "-map", "0", "-c", "copy")

"""scripts/run: from sources to an MP3 with one command."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import media
from workshop import ROOT, wait_for


def run(*arguments, folder):
    return subprocess.Popen(
        [str(ROOT / "scripts" / "run"), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        env={**os.environ, "TMPDIR": str(folder)}, start_new_session=True,
    )


def processes_in(folder):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder) in path.read_text(errors="replace"):
                found.append(int(path.parent.name))
        except OSError:
            pass
    return [pid for pid in found if pid != os.getpid()]


def field(output, name):
    return re.search(rf"^{name}: +(.*)$", output, re.MULTILINE).group(1)


def test_a_video_becomes_an_mp3_and_nothing_else_is_left(tmp_path):
    video = tmp_path / 'my "first" clip, é.mp4'
    video.write_bytes(media.clip(5).read_bytes())
    process = run("--exit", video, folder=tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    mp3 = pathlib.Path(field(output, "MP3"))
    assert mp3.name == 'my "first" clip, é.mp3'
    assert 4.8 < media.seconds_of(mp3) < 5.2
    assert "Subject: Your MP3 is ready: my \"first\" clip, é.mp4" in output
    assert field(output, "Video") == str(video)
    assert "Address" not in output  # nothing is there any more
    assert {path.name for path in mp3.parent.iterdir()} == {mp3.name, "email.eml"}
    assert not processes_in(tmp_path)


def test_without_a_video_a_sample_is_made_and_its_sound_kept_to_the_sample(tmp_path):
    process = run("--exit", folder=tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    sample, mp3 = field(output, "Video"), field(output, "MP3")
    assert len(media.pcm(sample)) == len(media.pcm(mp3)) > 19 * 44100 * 2


def test_a_conversion_that_fails_is_the_exit_status(tmp_path):
    process = run("--exit", media.silent_clip(), folder=tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert "has no sound" in output
    assert not processes_in(tmp_path)


def test_it_serves_until_ctrl_c_and_writes_no_secret(tmp_path):
    process = run(media.clip(5), folder=tmp_path)
    output = ""
    while "Serving until Ctrl-C" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    [folder] = tmp_path.glob("tapedeck-run.*")
    login = (folder / "login").read_text().split()
    secrets = [login[-1], (folder / "token").read_text().split()[-1]]
    secrets.append((folder / "data" / "gateway.key").read_text().strip())
    # What it prints works.
    command = field(output, "Log in")
    assert subprocess.run(command, shell=True, capture_output=True, text=True).stdout.count(".") == 2
    log = (folder / "serve.log").read_text()
    os.killpg(process.pid, signal.SIGINT)
    output += process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    for secret in secrets:
        assert len(secret) > 15 and secret not in output and secret not in log
    wait_for(lambda: not processes_in(tmp_path), what="the end of all processes")
    assert not (folder / "data").exists()


def test_what_is_built_is_not_for_its_user_alone(tmp_path):
    for path, text in (
        ("scripts/install-deps", ""),
        ("bin/meson", "mkdir build-release"),
        ("bin/ninja", "umask >ninja-umask; exit 1"),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / path).chmod(0o755)
    shutil.copy(ROOT / "scripts" / "run", tmp_path / "scripts")
    subprocess.run(
        [tmp_path / "scripts" / "run", "--exit"], capture_output=True, timeout=120, umask=0o022,
        env={**os.environ, "TMPDIR": str(tmp_path), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
    )
    assert (tmp_path / "build-release").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "ninja-umask").read_text() == "0022\n"


def test_wrong_arguments_are_refused(tmp_path):
    for arguments in (["--nonsense"], ["a", "b"], [tmp_path / "missing.mp4"]):
        process = run(*arguments, folder=tmp_path)
        assert process.communicate(timeout=60)[0]
        assert process.returncode == 2

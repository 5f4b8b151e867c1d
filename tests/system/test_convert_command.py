"""`tapedeck convert` as a command: what it says, what it leaves, how it ends."""

import array
import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
import time

import pytest

import media
from conversion import TAPEDECK
from mp3 import Mp3
from workshop import cpu_seconds, wait_for


def test_without_a_name_the_mp3_gets_the_videos(here):
    folder = here.path / "films"
    folder.mkdir()
    os.symlink(media.clip(5), folder / "my.talk.mp4")
    result = here.run("films/my.talk.mp4")
    assert result.returncode == 0 and result.stdout == b""
    assert Mp3(here.path / "my.talk.mp3").samples > 0
    assert re.search(rb"^my\.talk\.mp3: 8\d\.\d kB, 0:05, 128 kb/s, 44100 Hz, mono", result.stderr)


def test_a_folder_as_output_gets_the_mp3(here):
    (here.path / "sounds").mkdir()
    assert here.run(media.clip(5), "sounds").returncode == 0
    assert Mp3(here.path / "sounds" / "clip-5.mp3").samples > 0


def test_the_mp3_has_the_permissions_of_any_new_file(here):
    assert here.run(media.clip(5), "out.mp3").returncode == 0
    (here.path / "other").touch()
    assert (here.path / "out.mp3").stat().st_mode == (here.path / "other").stat().st_mode


def test_a_file_that_exists_is_replaced_only_by_force(here):
    out = here.path / "out.mp3"
    out.write_bytes(b"precious")
    result = here.run(media.clip(5), "out.mp3")
    assert result.returncode == 1 and b"--force" in result.stderr
    assert out.read_bytes() == b"precious"
    assert here.run(media.clip(5), "out.mp3", "--force").returncode == 0
    assert Mp3(out).samples > 0
    assert list(here.path.iterdir()) == [out]


def test_a_link_that_leads_nowhere_is_there_already(here):
    out = here.path / "out.mp3"
    out.symlink_to("nowhere")
    result = here.run(media.clip(5), "out.mp3")
    assert result.returncode == 1 and b"out.mp3 is there already" in result.stderr
    assert out.is_symlink()
    assert here.run(media.clip(5), "out.mp3", "--force").returncode == 0
    assert Mp3(out).samples > 0
    assert list(here.path.iterdir()) == [out]


def test_the_input_is_never_replaced(here):
    source = here.path / "talk.mp3"
    source.write_bytes(here.convert(media.clip(5)).read_bytes())
    before = source.read_bytes()
    result = here.run("talk.mp3", "--force")
    assert result.returncode == 1 and b"the input itself" in result.stderr
    assert source.read_bytes() == before


def test_pipes_work_on_both_sides(here):
    whole = here.convert(media.clip(5)).read_bytes()
    result = here.run("-", "-", input=media.clip(5).read_bytes())
    assert (result.returncode, result.stdout) == (0, whole)
    result = here.run("-", input=media.clip(5).read_bytes())
    assert (result.returncode, result.stdout) == (0, whole)
    result = here.run(media.clip(5), "-")
    assert (result.returncode, result.stdout) == (0, whole)


def test_a_pipe_that_trickles_is_waited_for(here):
    data = media.clip(5).read_bytes()
    process = subprocess.Popen(
        [TAPEDECK, "convert", "-", "out.mp3"],
        cwd=here.path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for at in range(0, len(data), 1 + len(data) // 5):
        process.stdin.write(data[at : at + 1 + len(data) // 5])
        process.stdin.flush()
        time.sleep(0.1)
    process.stdin.close()
    assert process.wait(timeout=60) == 0, process.stderr.read()
    assert Mp3(here.path / "out.mp3").samples > 4 * 44100


def test_standard_input_begins_where_it_stands(here):
    path = here.path / "with-header"
    path.write_bytes(b"x" * 100 + media.clip(5).read_bytes())
    with open(path, "rb") as stream:
        os.lseek(stream.fileno(), 100, os.SEEK_SET)
        result = here.run("-", "out.mp3", stdin=stream)
    assert result.returncode == 0, result.stderr
    assert Mp3(here.path / "out.mp3").samples > 4 * 44100


def test_a_reader_that_goes_away_is_an_error_and_no_crash(here):
    process = subprocess.Popen(
        [TAPEDECK, "convert", media.clip(60), "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert b"Broken pipe" in process.stderr.read()


@pytest.mark.parametrize("closed, arguments, said", [(0, ["-"], "input"), (1, [media.clip, "-"], "output")])
def test_a_descriptor_that_was_closed_is_an_error_and_no_other_file(here, closed, arguments, said):
    arguments = [str(part(5)) if callable(part) else part for part in arguments]
    command = 'exec "$@" 0<&-' if closed == 0 else 'exec "$@" >&-'
    result = subprocess.run(
        ["sh", "-c", command, "sh", TAPEDECK, "convert", *arguments],
        cwd=here.path, stderr=subprocess.PIPE, timeout=60,
    )
    assert result.returncode == 1
    assert said.encode() in result.stderr and b"Bad file descriptor" in result.stderr


def test_quiet_says_nothing_but_what_went_wrong(here):
    result = here.run(media.clip(5), "out.mp3", "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    result = here.run(media.not_media(), "other.mp3", "--quiet")
    assert result.returncode == 1 and b"not_media" in result.stderr
    cut = here.path / "cut.flac"
    whole = media.make("whole.flac", *media.music(4)).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    result = here.run(cut, "--quiet")
    assert result.returncode == 0 and b"warning" in result.stderr


def test_a_terminal_gets_a_bar_and_a_file_lines(here):
    source = media.long_clip(240)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [TAPEDECK, "convert", source, "out.mp3"], cwd=here.path, stderr=slave, stdin=slave
    )
    os.close(slave)
    shown = b""
    while not re.search(rb"\r\[#+-+\] +\d+ %  \d+x, \d+:\d+ left\x1b\[K", shown):
        shown += os.read(master, 4096)  # fails when the program has ended
    process.send_signal(signal.SIGINT)
    process.wait()
    os.close(master)


def test_a_log_file_gets_a_line_now_and_then(here):
    with open(here.path / "log", "wb") as log:
        process = subprocess.Popen(
            [TAPEDECK, "convert", media.long_clip(240), "out.mp3"], cwd=here.path, stderr=log
        )
        wait_for(lambda: (here.path / "log").stat().st_size > 0, 120, "a line of progress")
        process.send_signal(signal.SIGINT)
        process.wait()
    line = (here.path / "log").read_text().splitlines()[0]
    assert re.fullmatch(r"\d+ %  \d+x, (\d+:)?\d+:\d+ left", line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_stops_it_no_half_file_and_no_worker_is_left(here, number):
    process = subprocess.Popen(
        [TAPEDECK, "convert", media.long_clip(60), "out.mp3"],
        cwd=here.path,
        stderr=subprocess.PIPE,
    )
    worker = wait_for(lambda: workers_of(process.pid), what="a worker")[0]
    wait_for(lambda: cpu_seconds(worker) > 0.2, what="work")
    process.send_signal(number)
    process.wait(timeout=30)
    wait_for(lambda: not is_running(worker), 30, "the worker's end")
    assert list(here.path.iterdir()) == []
    if number != signal.SIGKILL:
        assert process.returncode == -number  # which a shell shows as 128 + number


@pytest.mark.parametrize("waits_for", ["a writer", "bytes", "a reader", "a pipe's reader"])
def test_what_waits_for_others_can_be_stopped(here, waits_for):
    os.mkfifo(here.path / "pipe")
    source, target = {"a reader": (media.clip(60), "-"), "a pipe's reader": (media.clip(5), "pipe")}.get(
        waits_for, ("pipe", "out.mp3")
    )
    process = subprocess.Popen(
        [TAPEDECK, "convert", source, target],
        cwd=here.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if waits_for == "bytes":
        writer = os.open(here.path / "pipe", os.O_RDWR)
    if waits_for == "a reader":
        wait_for(lambda: not workers_of(process.pid) and is_full(process.stdout), what="an MP3")
    else:
        wait_for(lambda: workers_of(process.pid), what="a worker")
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT
    if waits_for != "a pipe's reader":
        assert process.stderr.read() == b"tapedeck convert: told to stop\n"
    assert [path.name for path in here.path.iterdir()] == ["pipe"]
    if waits_for == "bytes":
        os.close(writer)


def is_full(pipe):
    """Not one more page fits: whoever writes to it waits."""
    held = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, held)
    return held[0] > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - 4096


def test_what_nohup_started_outlives_the_terminal(here):
    process = subprocess.Popen(
        ["nohup", TAPEDECK, "convert", "--quiet", media.long_clip(20), "out.mp3"],
        cwd=here.path,
        stderr=subprocess.PIPE,
    )
    worker = wait_for(lambda: workers_of(process.pid), what="a worker")[0]
    wait_for(lambda: cpu_seconds(worker) > 0, what="work")
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=180) == 0, process.stderr.read()
    assert Mp3(here.path / "out.mp3").samples > 0


# Files without a name, and links, as FAT has them.
FAT = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>
int open64(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    va_list more;
    va_start(more, flags);
    int mode = va_arg(more, int);
    va_end(more);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return errno = EOPNOTSUPP, -1;
    return real(path, flags, mode);
}
int link(const char *from, const char *to)
{
    (void)from, (void)to;
    return errno = EPERM, -1;
}
"""


def test_a_disk_without_links_gets_the_mp3_too(here, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fat")
    (folder / "fat.c").write_text(FAT)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "fat.so", "fat.c"], cwd=folder, check=True)
    like_fat = {**os.environ, "LD_PRELOAD": str(folder / "fat.so")}
    assert here.run(media.clip(5), "out.mp3", env=like_fat).returncode == 0
    whole = (here.path / "out.mp3").read_bytes()
    assert here.run(media.clip(5), "out.mp3", env=like_fat).returncode == 1
    assert here.run(media.clip(5), "out.mp3", "--force", env=like_fat).returncode == 0
    assert here.run(media.clip(5), "-", env=like_fat).stdout == whole
    assert list(here.path.iterdir()) == [here.path / "out.mp3"]
    assert (here.path / "out.mp3").read_bytes() == whole


def test_a_worker_that_dies_is_an_error(here):
    process = subprocess.Popen(
        [TAPEDECK, "convert", media.long_clip(60), "out.mp3"],
        cwd=here.path,
        stderr=subprocess.PIPE,
    )
    worker = wait_for(lambda: workers_of(process.pid), what="a worker")[0]
    wait_for(lambda: cpu_seconds(worker) > 0.2, what="work")
    os.kill(worker, signal.SIGSEGV)
    assert process.wait(timeout=60) == 1
    said = process.stderr.read()
    assert b"signal 11 (Segmentation fault) (internal)" in said and b"operator" not in said
    assert list(here.path.iterdir()) == []


def workers_of(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True).stdout
    return [int(line) for line in found.split()]


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before, or while we read
        return False


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ([], b"which video?"),
        (["a", "b", "c"], b"more than two files"),
        (["a", ""], b"a file without a name"),
        (["a", "--nothing"], b"there is no option --nothing"),
        (["a", "-x"], b"there is no option -x"),
        (["a", "--titel", "x"], b"there is no option --titel; did you mean --title?"),
        (["a", "--bitrate=64"], b"there is no option --bitrate; did you mean --bitrate-kbps?"),
        (["a", "--quiet=yes"], b"there is no option --quiet\n"),
        (["-", "."], b". is a folder, and standard input has no name"),
        (["a", "--title"], b"--title needs a value"),
        (["a", "--bitrate-kbps", "7"], b"bitrate_kbps must be"),
        (["a", "--bitrate-kbps=321"], b"bitrate_kbps must be"),
        (["a", "--vbr-quality", "10"], b"vbr_quality must be"),
        (["a", "--vbr-quality", "1", "--bitrate-kbps", "128"], b"vbr_quality"),
        (["a", "--track", "1", "--language", "en"], b"language"),
        (["a", "--title", b"caf\xe9"], b"--title: expected text in UTF-8"),
        (["a", "--notify", "none"], b"there is no option --notify"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_2(here, arguments, complaint):
    result = here.run(*arguments)
    assert result.returncode == 2, result.stderr
    assert complaint in result.stderr and b"--help" in result.stderr
    assert result.stdout == b""


def test_names_may_begin_with_a_dash_after_two(here):
    os.symlink(media.clip(5), here.path / "-talk.mp4")
    result = here.run("--", "-talk.mp4", "--force")
    assert result.returncode == 0, result.stderr
    assert Mp3(here.path / "--force").samples > 0


def test_what_cannot_be_opened_ends_with_1(here):
    result = here.run("nothing.mp4")
    assert result.returncode == 1 and b"nothing.mp4: No such file" in result.stderr
    result = here.run(".", "out.mp3")
    assert result.returncode == 1 and b"is a folder" in result.stderr
    result = here.run(media.clip(5), "no/folder/out.mp3")
    assert result.returncode == 1 and b"no/folder/out.mp3: No such file" in result.stderr
    result = here.run(media.clip(5), "folder/")
    assert result.returncode == 1 and b"folder/clip-5.mp3: No such file" in result.stderr
    assert list(here.path.iterdir()) == []


def test_a_files_name_gives_the_terminal_no_orders(here):
    result = here.run("no\x1b[31m\udcff.mp4")
    assert result.returncode == 1
    assert rb"no\x1b[31m\xff.mp4: No such file" in result.stderr
    os.symlink(media.clip(5), here.path / "\x1b[2J.mp4")
    result = here.run("\x1b[2J.mp4")
    assert result.returncode == 0 and rb"\x1b[2J.mp3: " in result.stderr
    assert b"\x1b" not in result.stderr


def test_a_full_disk_is_an_error_and_leaves_nothing(here):
    result = here.run(media.clip(5), "/dev/full")
    assert result.returncode == 1
    assert result.stderr == b"tapedeck convert: /dev/full: write: No space left on device\n"
    with open("/dev/full", "wb") as full:
        command = [TAPEDECK, "convert", media.clip(5), "-"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == 1
    assert result.stderr == b"tapedeck convert: standard output: write: No space left on device\n"


def test_help_names_every_option(here):
    result = here.run("--help")
    assert (result.returncode, result.stderr) == (0, b"")
    for option in ["--force", "--quiet", "--bitrate-kbps", "--vbr-quality", "--track", "--title"]:
        assert option in result.stdout.decode()

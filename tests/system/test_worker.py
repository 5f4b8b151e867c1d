"""The process that parses media: what it may do, how large it gets, and that it never outlives its
parent."""

import os
import pathlib
import re
import resource
import signal
import subprocess
import time

import pytest

import media
from conversion import TAPEDECK
from workshop import wait_for

MIB = 1 << 20


def playlist(folder, kind):
    """A text that names a video which is there, called .mp4."""
    target = media.make("target.ts", *media.picture(2), *media.sound(2), "-c:v", "mpeg4")
    text = {
        "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
        f"#EXTINF:2.0,\n{target}\n#EXT-X-ENDLIST\n",
        "m3u8-url": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\nhttp://127.0.0.1:9/a.ts\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-main:2011">'
        '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=audio 5004 RTP/AVP 0\n",
    }[kind]
    path = folder / f"{kind}.mp4"
    path.write_text(text)
    return path


def calls_of_worker(folder, source, *wish):
    """The system calls of the worker after it got its job, as strace writes them."""
    log = folder / "strace"
    subprocess.run(
        ["strace", "-f", "-o", log, TAPEDECK, "convert", "--quiet", "--force", *wish, source, "out.mp3"],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    lines = log.read_text(errors="replace").splitlines()
    start = next(i for i, line in enumerate(lines) if re.search(r"execve\(.*tapedeck-worker", line))
    threads = {lines[start].split()[0]}
    calls, has_job = [], False
    for line in lines[start + 1 :]:
        thread, call = line.split(None, 1)
        if thread not in threads:
            continue
        made = re.match(r"(?:clone3?\(|<\.\.\. clone3? resumed>).* = (\d+)$", call)
        if made:
            threads.add(made[1])
        if has_job:
            calls.append(call)
        elif re.search(r"recvfrom\(3, .* = 8$|recvfrom resumed>.* = 8$", call):
            has_job = True
    assert has_job
    return calls


# Memory, threads, locks, the socket that is open, and the end.
ALLOWED = """mmap munmap mremap mprotect madvise brk futex clone clone3 rseq set_robust_list
    rt_sigprocmask rt_sigaction sched_yield sched_getaffinity recvfrom sendmsg exit exit_group
    clock_nanosleep restart_syscall getpid gettid""".split()


@pytest.mark.parametrize(
    "kind", ["video", "part", "m3u8", "m3u8-url", "ffconcat", "dash", "sdp", "broken", "no sound"]
)
def test_a_worker_opens_nothing_and_connects_to_nothing(here, kind):
    wish = []
    if kind == "video":
        source = media.clip(5)
    elif kind == "part":
        source = media.clip(60)
        wish = ["--start-seconds", "50", "--loudness-lufs", "-8"]
    elif kind == "no sound":
        source = media.silent_clip()
    elif kind == "broken":
        source = here.path / "broken.mp4"
        source.write_bytes(media.clip(5).read_bytes()[:10000])
    else:
        source = playlist(here.path, kind)
        here.refuse(source, "not_media")
    calls = calls_of_worker(here.path, source, *wish)
    names = {re.match(r"(?:<\.\.\. )?(\w+)", call)[1] for call in calls if call[0] not in "+-"}
    assert names <= set(ALLOWED)
    assert "sendmsg" in names
    assert all("CLONE_THREAD" in call for call in calls if re.match(r"clone3?\(", call))
    assert all("(3, " in call for call in calls if re.match(r"recvfrom|sendmsg", call))


class Running:
    """A conversion under way."""

    def __init__(self, folder, source, *arguments):
        self.process = subprocess.Popen(
            [TAPEDECK, "convert", "--quiet", *arguments, source, "/dev/null"], cwd=folder
        )
        self.worker = wait_for(self.find_worker, what="a worker")

    def find_worker(self):
        found = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
        ).stdout
        return next((int(line.split()[0]) for line in found.splitlines() if "worker" in line), None)

    def file(self, name):
        with open(f"/proc/{self.worker}/{name}", encoding="utf-8") as file:
            return file.read()

    def wait(self):
        """Until its end; returns the most memory that worker and parent had."""
        peaks = {}
        while self.process.poll() is None:
            for pid in (self.worker, self.process.pid):
                try:
                    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
                        found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if found:
                    peaks[pid] = int(found[1]) * 1024
            time.sleep(0.05)
        assert self.process.returncode == 0
        return peaks[self.worker], peaks[self.process.pid]


@pytest.fixture
def running(here):
    started = []

    def start(*arguments):
        started.append(Running(here.path, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_limits_are_in_force_while_it_works(running):
    work = running(media.long_clip(60))
    wait_for(lambda: limit(work, "Max open files") == 4, what="the limits")
    assert limit(work, "Max data size") <= 1 << 30
    assert limit(work, "Max address space") <= 4 << 30
    assert limit(work, "Max file size") == 0
    assert limit(work, "Max core file size") == 0
    assert limit(work, "Max msgqueue size") == 0
    assert re.search(r"NoNewPrivs:\s+1", work.file("status"))
    environment = work.file("environ").split("\0")
    assert environment == ["LC_ALL=C", ""]


def test_a_limit_that_is_lower_already_stays(here):
    """As a container or `ulimit -v` sets it."""
    lower = 1 << 30
    result = here.run(
        media.clip(5),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (lower, lower)),
    )
    assert result.returncode == 0, result.stderr


def limit(work, name):
    values = re.search(rf"{name}\s+(\S+)\s+(\S+)", work.file("limits"))
    assert values[1] == values[2]
    return int(values[1]) if values[1] != "unlimited" else 1 << 63


def test_it_holds_its_socket_and_no_other_descriptor(here, running):
    """What careless parents leave open for their children is closed."""
    leak = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leak, True)
    with open(here.path / "log", "wb") as log:
        process = subprocess.Popen(
            [TAPEDECK, "convert", media.long_clip(60), "/dev/null"],
            stderr=log,
            close_fds=False,
        )
    os.close(leak)
    try:
        work = Running.__new__(Running)
        work.process = process
        work.worker = wait_for(work.find_worker, what="a worker")
        wait_for(lambda: limit(work, "Max open files") == 4, what="the limits")
        folder = f"/proc/{work.worker}/fd"
        found = {fd: os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}
        assert sorted(found) == ["0", "1", "2", "3"]
        assert found["0"] == found["1"] == "/dev/null"
        assert found["2"] == str(here.path / "log")
        assert found["3"].startswith("socket:")
    finally:
        process.kill()
        process.wait()


def test_it_dies_with_its_parent(running):
    work = running(media.long_clip(60))
    wait_for(lambda: limit(work, "Max open files") == 4, what="the limits")
    work.process.send_signal(signal.SIGKILL)
    work.process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{work.worker}"), 30, "the worker's end")


def long_film(name, hours):
    """Little of everything, for hours, made quickly: a minute with 25 pictures a second, again and
    again."""
    minute = media.make(
        "minute.mkv",
        *["-f", "lavfi", "-i", "color=c=blue:s=32x32:r=25:d=60"],
        *media.music(60, 8000, "mono"),
        *["-c:v", "mpeg4", "-c:a", "aac", "-b:a", "8k"],
    )
    return media.make(name, "-stream_loop", str(60 * hours - 1), "-i", minute, "-c", "copy")


@pytest.mark.parametrize("name", ["film.ts", "film.mkv", "film.mp4"])
def test_memory_does_not_grow_with_the_films_length(running, name):
    work = running(long_film(name, 1), "--bitrate-kbps", "8")
    worker, parent = work.wait()
    assert worker <= 64 * MIB
    assert parent <= 16 * MIB


def test_memory_does_not_grow_where_loudness_is_measured(running):
    """With a limiter, which looks at most of it three times."""
    work = running(
        long_film("film.mkv", 1), "--bitrate-kbps", "8", "--loudness-lufs", "-8"
    )
    worker, parent = work.wait()
    assert worker <= 64 * MIB
    assert parent <= 16 * MIB


def test_many_encoders_leave_address_space_for_an_index(workshop):
    """16 encoders' sound and stacks, and FFmpeg's libraries; an index can need 300 MB besides."""
    converter = workshop.start("converter", {"converter.threads": "16"})
    conversion = workshop.upload(media.long_clip(20), notify="none")
    peaks = []
    while workshop.record(conversion)["state"] in ("queued", "converting"):
        peaks += [address_space_peak(pid) for pid in converter.worker_pids()]
    assert workshop.record(conversion)["state"] == "done"
    assert 400 * MIB <= max(peaks) <= 800 * MIB


def address_space_peak(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmPeak:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def hour_of_silence():
    return media.make(
        "hour.flac",
        *["-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=3600", "-frame_size", "65535"],
    )


def day_of_silence():
    return media.make("day.mka", "-stream_loop", "23", "-i", hour_of_silence(), "-c", "copy")


def test_a_day_of_silence_in_a_small_file_is_too_long_at_once(workshop):
    workshop.start("converter", {"limits.duration_max": "12h"})
    source = day_of_silence()
    assert source.stat().st_size < MIB
    start = time.monotonic()
    conversion = workshop.upload(source)
    record = workshop.wait_for_state(conversion, "failed", "done", seconds=240)
    assert record["error"]["code"] == "too_long"
    assert time.monotonic() - start < 60


def test_sound_that_hides_its_length_is_stopped_at_the_limit(workshop):
    """FLAC's header can say nothing about the length."""
    data = bytearray(hour_of_silence().read_bytes())
    data[8 + 13] &= 0xF0  # the number of samples in STREAMINFO
    data[8 + 14 : 8 + 18] = bytes(4)
    source = workshop.folder / "hidden.flac"
    source.write_bytes(data)
    workshop.start("converter", {"limits.duration_max": "10m"})
    record = workshop.wait_for_state(workshop.upload(source), "failed", "done")
    assert record["error"]["code"] == "too_long"


def test_a_start_that_never_comes_is_not_searched_for_for_ever(workshop):
    """Sound goes on and on, and its times stand still."""
    source = media.make(
        "still.mka", "-i", hour_of_silence(), "-c", "copy", "-bsf:a", "setts=ts=0:duration=0"
    )
    workshop.start("converter", {"limits.duration_max": "1m"})
    conversion = workshop.upload(source, start_seconds="10")
    record = workshop.wait_for_state(conversion, "failed", "done")
    assert record["error"]["code"] == "too_long"

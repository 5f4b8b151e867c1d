"""What a worker says is checked outside of it: here it is a program that lies.

A copy of tapedeck finds it beside itself, under the name of its worker.
"""

import shutil
import subprocess

import pytest

from workshop import RELEASE

# Speaks src/sandbox/protocol.h; does what a worker does, but for what `lie` tells it.
WORKER = '''#!/usr/bin/python3
import json, socket, struct, sys

JOB, DATA, READ, WRITE, PROGRESS, RESULT, FAILURE = range(1, 8)
channel = socket.socket(fileno=3)


def receive(size):
    data = b""
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            sys.exit()
        data += part
    return data


def send(kind, payload, size=None):
    channel.sendall(struct.pack("<II", kind, len(payload) if size is None else size) + payload)


def take(kind):
    found, size = struct.unpack("<II", receive(8))
    assert found == kind
    return receive(size)


def ask(offset, size):
    send(READ, struct.pack("<QI", offset, size))


def read(offset, size):
    ask(offset, size)
    return take(DATA)


def write(offset, data):
    send(WRITE, struct.pack("<Q", offset) + data)


def progress(seconds):
    send(PROGRESS, struct.pack("<QQQQQ", int(seconds * 1e6), 0, 0, 0, 0))


def result(size=417, samples=1000, frames=1, kbps=128, rate=44100):
    send(RESULT, struct.pack("<QQQQIIII", size, samples, frames, 0, kbps, rate, 2, 0))


def honest(before=lambda: None):
    """Half a frame, its rest, and its beginning once more, as the last of all."""
    read(0, 100)
    write(0, b"a" * 200)
    before()
    write(200, b"b" * 217)
    progress(1)
    write(0, b"c" * 100)


job = json.loads(take(JOB))
size = job["input_size"]
LIE
'''

LIES = {
    "bytes are asked for behind the input's end": "honest(lambda: read(size, 1)); result()",
    "a range reaches past the input's end": "honest(lambda: read(size - 1, 2)); result()",
    "more is asked for before the answer came": "ask(0, 262144); ask(0, 262144); honest(); result()",
    "a gap is left": "honest(lambda: write(201, b'x')); result()",
    "something is written after the last": "honest(); write(417, b'x'); result(418)",
    "something is written again twice": "honest(); write(0, b'x'); result()",
    "more is written than an MP3 may have": "honest(lambda: write(1 << 33, b'x')); result()",
    "time runs back": "progress(2); honest(); result()",
    "fewer bytes are claimed than were written": "honest(); result(416)",
    "more bytes are claimed than were written": "honest(); result(418)",
    "no sound is claimed": "honest(); result(samples=0)",
    "more sound is claimed than fits the frames": "honest(); result(samples=1153)",
    "a rate is claimed that no MP3 has": "honest(); result(rate=96000)",
    "a frame comes that is not a worker's": "honest(lambda: send(JOB, b'{}')); result()",
    "a frame comes that is none": "honest(lambda: send(99, b'')); result()",
    "a frame is endless": "honest(lambda: send(WRITE, b'x' * 262153)); result()",
    "a frame is cut short": "honest(); send(RESULT, b'x' * 47)",
    "a failure is named that is not a worker's": "send(FAILURE, b'store_unavailable\\0why')",
    "nothing is said at the end": "honest()",
}


@pytest.fixture
def tapedeck(tmp_path):
    """Converts with a worker that does this."""
    shutil.copy(RELEASE / "tapedeck", tmp_path / "tapedeck")
    source = tmp_path / "video.mp4"
    source.write_bytes(b"v" * 1000)

    def run(behaviour):
        worker = tmp_path / "tapedeck-worker"
        worker.write_text(WORKER.replace("LIE", behaviour))
        worker.chmod(0o755)
        result = subprocess.run(
            [tmp_path / "tapedeck", "convert", source, tmp_path / "out.mp3"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        # Of what was written nothing is left where it was not believed.
        kept = {path.name for path in tmp_path.iterdir()}
        kept -= {"tapedeck", "tapedeck-worker", "video.mp4"}
        return result.returncode, result.stderr, kept

    run.output = tmp_path / "out.mp3"
    return run


def test_an_honest_worker_is_believed(tapedeck):
    status, said, kept = tapedeck("honest(); result()")
    assert (status, kept) == (0, {"out.mp3"}), said
    assert tapedeck.output.read_bytes() == b"c" * 100 + b"a" * 100 + b"b" * 217


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies_is_an_error_and_leaves_nothing(tapedeck, lie):
    status, said, kept = tapedeck(LIES[lie])
    assert (status, kept) == (1, set()), said
    assert said.endswith("(internal)\n"), said

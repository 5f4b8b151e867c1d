"""Every limit of limits.*, and the disk."""

import subprocess
import threading
import time

import pytest

import media
from deck import ANNA, BEN, Deck, expect
from workshop import wait_for

MIB = 1 << 20


@pytest.fixture
def deck(tmp_path):
    made = Deck(tmp_path)
    made.start_auth()
    yield made
    made.close()


def clients(deck, lease="1500ms", **limits):
    """Anna and Ben, with these limits."""
    options = {f"limits.{name}": str(value) for name, value in limits.items()}
    deck.start_gateway({"recovery.lease": lease, **options})
    return deck.client(), deck.client(BEN)


def nothing_is_left(deck, but=()):
    wait_for(lambda: set(deck.records()) == set(but), what="that no other record is left")
    wait_for(lambda: deck.blobs("video") == set(but), what="that no other blob is left")


def chunks(size, piece=64 * 1024):
    """A body without a declared length."""
    while size > 0:
        yield b"x" * min(piece, size)
        size -= piece


class OpenUpload:
    """One that has begun and does not end by itself."""

    def __init__(self, client):
        self.go_on = threading.Event()
        self.client = client
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def body(self):
        yield b"x" * 1000
        self.go_on.wait()
        yield b"x"

    def run(self):
        self.answer = self.client.upload(self.body())

    def end(self):
        self.go_on.set()
        self.thread.join()
        return self.answer


def test_upload_size_max(deck):
    """A file of more than one piece, so that it is the sum that counts."""
    anna, _ = clients(deck, upload_size_max="1MiB")
    fitting = [
        anna.upload(b"x" * MIB),
        anna.upload(chunks(MIB)),
        anna.post("/upload", files={"file": b"x" * MIB}),
    ]
    assert [answer.status_code for answer in fitting] == [202] * 3
    for answer in (
        anna.upload(b"x" * (MIB + 1)),
        anna.upload(b"x" * 20 * MIB),
        anna.upload(chunks(MIB + 1)),
        anna.upload(chunks(20 * MIB)),
        anna.post("/upload", files={"file": b"x" * (MIB + 1)}),
        anna.post("/upload", files={"file": b"x" * 20 * MIB}),
    ):
        expect(answer, 413, "upload_too_large")
    nothing_is_left(deck, but=[answer.json()["id"] for answer in fitting])


def test_a_body_where_none_is_wanted_is_refused_as_that(deck):
    [anna, _] = clients(deck)
    for answer, words in (
        (anna.delete("/v1/conversions/x", data=b"x" * 100_000), "This call takes no body."),
        (anna.post("/login", data=b"x" * 100_000), "has at most 4096 bytes"),
        (anna.post("/login", data=chunks(100_000)), "has at most 4096 bytes"),
    ):
        expect(answer, 413, "upload_too_large")
        assert words in answer.json()["detail"]
        assert "file" not in answer.json()["title"]


def test_uploads_per_user(deck):
    # An upload that is not renewed within its lease counts no more, as on a machine that stands still.
    anna, ben = clients(deck, lease="1m", uploads_per_user=2)
    open_uploads = [OpenUpload(deck.client()) for _ in range(2)]
    wait_for(lambda: len(deck.records()) == 2, what="two open uploads")
    expect(anna.upload(), 429, "too_many_uploads")
    assert ben.upload().status_code == 202
    assert open_uploads[0].end().status_code == 202
    assert anna.upload().status_code == 202
    assert open_uploads[1].end().status_code == 202


def test_conversions_per_user_per_day(deck):
    anna, ben = clients(deck, conversions_per_user_per_day=2)
    assert [anna.upload().status_code for _ in range(2)] == [202, 202]
    expect(anna.upload(), 429, "daily_limit")
    assert ben.upload().status_code == 202


def test_storage_per_user_max(deck):
    anna, ben = clients(deck, storage_per_user_max="1MiB")
    first = anna.upload(b"x" * (MIB // 2))
    assert first.status_code == 202
    for answer in (
        anna.upload(b"x" * (MIB // 2 + 1)),
        anna.upload(chunks(MIB // 2 + 1)),
        anna.post("/upload", files={"file": b"x" * (MIB // 2 + 1)}),
        anna.post("/upload", files={"file": b"x" * 3 * MIB}),
    ):
        expect(answer, 429, "storage_limit")
    nothing_is_left(deck, but=[first.json()["id"]])
    assert anna.upload(b"x" * (MIB // 2)).status_code == 202
    expect(anna.upload(b"x"), 429, "storage_limit")
    assert ben.upload(b"x" * MIB).status_code == 202
    assert anna.delete(f"/v1/conversions/{first.json()['id']}").status_code == 204
    wait_for(lambda: anna.upload(b"x").status_code == 202, what="room again")


def test_queue_length_max(deck):
    anna, ben = clients(deck, queue_length_max=3)
    made = [anna.upload().json()["id"] for _ in range(3)]
    for client in (anna, ben):
        expect(client.upload(), 503, "queue_full")
    assert anna.get("/v1/conversions").status_code == 200
    anna.post(f"/v1/conversions/{made[0]}/cancel")
    assert ben.upload().status_code == 202


def test_duration_max(deck):
    anna, _ = clients(deck)
    deck.start("converter", {"limits.duration_max": "3s"})
    long, short = (
        anna.upload(media.clip(seconds).read_bytes()).json()["id"] for seconds in (5, 2)
    )
    deck.wait_for_state(long, "failed")
    assert anna.get(f"/v1/conversions/{long}").json()["error"]["code"] == "too_long"
    deck.wait_for_state(short, "done")


def test_disk_free_min(deck):
    anna, _ = clients(deck, disk_free_min="100TiB")
    expect(anna.upload(), 503, "disk_full")
    expect(anna.upload(chunks(10)), 503, "disk_full")
    assert deck.records() == {}
    assert anna.get("/v1/conversions").status_code == 200


# ---- A disk that is really full ----


@pytest.fixture
def small_disk(tmp_path):
    """32 MiB that the data folder lies on."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tapedeck-test", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk is not permitted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def disk_deck(small_disk):
    made = Deck(small_disk)
    made.start_auth()
    yield made
    made.close()


def fill(folder, leave):
    """Takes all but `leave` bytes of the disk."""
    stat = subprocess.run(
        ["stat", "-f", "-c", "%a %S", str(folder)], capture_output=True, text=True
    ).stdout.split()
    size = int(stat[0]) * int(stat[1]) - leave
    with open(folder / "filler", "ab") as filler:
        filler.write(b"\0" * size)


def test_a_full_disk_costs_no_upload_that_was_taken(disk_deck, small_disk):
    deck = disk_deck
    anna, _ = clients(deck)
    kept = anna.upload(media.clip(5).read_bytes())
    unwanted = anna.upload(b"x" * MIB)
    assert (kept.status_code, unwanted.status_code) == (202, 202)
    # It fills up while the body comes; of a declared length it is known before.
    expect(anna.upload(chunks(64 * MIB)), 503, "disk_full")
    expect(anna.upload(b"x" * 64 * MIB), 503, "disk_full")
    nothing_is_left(deck, but=[kept.json()["id"], unwanted.json()["id"]])
    # Not even the record finds room.
    fill(small_disk, leave=0)
    answer = anna.upload(b"x" * 100_000)
    expect(answer, 503, "disk_full")
    assert anna.get("/v1/conversions").status_code == 200
    # What its owner does not want any more makes room.
    assert anna.delete(f"/v1/conversions/{unwanted.json()['id']}").status_code == 204
    nothing_is_left(deck, but=[kept.json()["id"]])
    (small_disk / "filler").unlink()
    wait_for(lambda: anna.upload().status_code == 202, what="that uploads are taken again")
    deck.start("converter")
    deck.wait_for_state(kept.json()["id"], "done")
    assert anna.get(f"/v1/conversions/{kept.json()['id']}/mp3").status_code == 200


def test_the_last_room_is_kept_for_what_has_begun(disk_deck, small_disk):
    deck = disk_deck
    anna, _ = clients(deck, disk_free_min="8MiB")
    expect(anna.upload(chunks(64 * MIB)), 503, "disk_full")
    nothing_is_left(deck)
    fill(small_disk, leave=12 * MIB)
    assert anna.upload(b"x" * MIB).status_code == 202
    expect(anna.upload(b"x" * 6 * MIB), 503, "disk_full")
    fill(small_disk, leave=6 * MIB)
    expect(anna.upload(b"x"), 503, "disk_full")
    expect(anna.upload(chunks(1)), 503, "disk_full")

"""Blobs in MongoDB: other drivers beside us, and writes that land late, twice, or not at all."""

import os
import random
import threading
import time

import gridfs
import pytest
from bson import ObjectId

import reading
from blobs import Failed, Place, is_write
from mongodb import MongoDb
from workshop import wait_for

CHUNK = 261120
CONVERSION = "0123456789abcdef01234567"


@pytest.fixture(scope="module")
def server():
    """The one that the environment names, or one of our own."""
    if "TEST_MONGODB_URI" in os.environ:
        yield os.environ["TEST_MONGODB_URI"], os.environ.get("TEST_CA_FILE")
        return
    own = MongoDb()
    yield own.uri, own.ca_file
    own.stop()


@pytest.fixture
def place(server):
    made = Place(*server)
    yield made
    made.close()


@pytest.fixture
def sample(tmp_path):
    """sample(size) is a file of that many unlike bytes."""
    maker = random.Random(1)

    def make(size):
        path = tmp_path / f"sample-{size}"
        path.write_bytes(maker.randbytes(size))
        return path

    return make


def stored(database, blob):
    return gridfs.GridFS(database).get(ObjectId(blob)).read()


def leftovers(database):
    return {
        name: count
        for name in ("fs.files", "fs.chunks", "fs.writers")
        if (count := database[name].count_documents({}))
    }


# ---- Other drivers ----


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 9 * CHUNK - 1, 3_000_000])
def test_any_driver_reads_what_we_store(place, sample, size):
    blob = str(ObjectId())
    path = sample(size)
    place.blobs()("put", "mp3", blob, path)
    found = gridfs.GridFS(place.mp3s).get(ObjectId(blob))
    assert found.read() == path.read_bytes()
    assert (found.length, found.chunk_size, found.filename) == (size, CHUNK, blob)
    assert found.metadata["conversion_id"] == ObjectId(CONVERSION)
    assert found.upload_date.timestamp() == pytest.approx(
        ObjectId(blob).generation_time.timestamp(), abs=60
    )


def test_an_unfinished_blob_is_no_file_to_other_drivers(place, sample):
    blobs = place.blobs()
    blob = str(ObjectId())
    blobs("open", "video", blob, 1)
    blobs("write", 0, sample(3 * CHUNK), 0, 3 * CHUNK)
    blobs("flush")
    assert list(gridfs.GridFS(place.videos).find()) == []
    blobs("finish", 3 * CHUNK)
    assert [str(file._id) for file in gridfs.GridFS(place.videos).find()] == [blob]


def test_the_indexes_are_those_of_the_specification(place, sample):
    place.blobs()("put", "video", ObjectId(), sample(10))
    chunks = place.videos["fs.chunks"].index_information()
    assert chunks["files_id_1_n_1"]["unique"]
    assert "filename_1_uploadDate_1" in place.videos["fs.files"].index_information()
    gridfs.GridFS(place.videos).put(b"another driver goes on beside us")


@pytest.mark.parametrize("chunk_size", [None, 10_000, 1 << 20])
def test_what_the_original_stored_is_read(place, sample, tmp_path, chunk_size):
    path = sample(3_000_000)
    options = {"chunk_size": chunk_size} if chunk_size else {}
    blob = gridfs.GridFS(place.videos).put(path.read_bytes(), **options)
    place.videos["fs.files"].update_one({"_id": blob}, {"$unset": {"md5": ""}})
    blobs = place.blobs()
    assert blobs("get", "video", blob, tmp_path / "out").split() == ["3000000"]
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    blobs("read", "video", blob, 2_345_678, 400_000, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == path.read_bytes()[2_345_678:2_745_678]


def test_what_another_program_stored_is_never_changed(place, sample):
    files = gridfs.GridFS(place.videos)
    finished = files.put(b"of the original")
    growing = files.new_file()
    growing.write(bytes(2 * CHUNK))
    blobs = place.blobs()
    for blob in (finished, growing._id):
        with pytest.raises(Failed) as failure:
            blobs("open", "video", blob, 1)
            blobs("write", 0, sample(CHUNK), 0, CHUNK)
            blobs("finish", CHUNK)
        assert failure.value.kind == "CONFLICT"
    growing.close()
    assert files.get(finished).read() == b"of the original"
    assert files.get(growing._id).read() == bytes(2 * CHUNK)


def test_a_file_that_lost_a_chunk_is_told_from_one_that_was_removed(place, sample, tmp_path):
    blobs = place.blobs()
    blob = ObjectId()
    blobs("put", "mp3", blob, sample(3 * CHUNK))
    place.mp3s["fs.chunks"].delete_one({"files_id": blob, "n": 1})
    with pytest.raises(Failed) as failure:
        blobs("get", "mp3", blob, tmp_path / "out")
    assert failure.value.kind == "INTERNAL"
    place.mp3s["fs.files"].delete_one({"_id": blob})
    with pytest.raises(Failed) as failure:
        blobs("get", "mp3", blob, tmp_path / "out")
    assert failure.value.kind == "NOT_FOUND"


NONSENSE = {
    "fs.files": [
        {"length": "long"}, {"length": -1}, {"length": 0.5}, {"length": float("nan")},
        {"length": 1 << 60}, {"length": None}, {"length": 4 * CHUNK},
        {"chunkSize": 0}, {"chunkSize": -CHUNK}, {"chunkSize": 1 << 30}, {"chunkSize": "large"},
        {"chunkSize": 1}, {"chunkSize": 2 * CHUNK},
    ],
    "fs.chunks": [
        {"data": b""}, {"data": bytes(CHUNK - 1)}, {"data": bytes(CHUNK + 1)},
        {"data": bytes(3_000_000)}, {"data": "text"}, {"data": {"data": b""}}, {"n": 7},
    ],
}


def kind_of_failure(blobs, *words):
    with pytest.raises(Failed) as failure:
        blobs(*words)
    return failure.value.kind


def test_what_makes_no_sense_is_never_read_as_if_it_did(place, sample, tmp_path):
    blobs, path = place.blobs(), sample(3 * CHUNK)
    for collection, cases in NONSENSE.items():
        for members in cases:
            blob = ObjectId()
            blobs("put", "video", blob, path)
            key = {"_id": blob} if collection == "fs.files" else {"files_id": blob, "n": 1}
            place.videos[collection].update_one(key, {"$set": members})
            assert kind_of_failure(blobs, "get", "video", blob, tmp_path / "out") == "INTERNAL", (
                collection, members,
            )
            blobs("remove", "video", blob)
    assert leftovers(place.videos) == {}


def test_a_turn_that_makes_no_sense_is_told_as_such(place):
    """Not as a newer upload, for which a client would give up its own."""
    blobs = place.blobs()
    for members in ({"turn": 1 << 40}, {"turn": "next"}, {"turn": -5}, {"g": "me"}):
        blob = ObjectId()
        blobs("open", "video", blob, 1)
        place.videos["fs.writers"].update_one({"_id": blob}, {"$set": members})
        assert kind_of_failure(blobs, "open", "video", blob, 1) == "INTERNAL", members


def test_chunks_that_are_there_twice_are_told_before_anything_is_stored(place, tmp_path):
    """Without the unique index nothing holds, and with these it cannot be made."""
    blob = ObjectId()
    chunk = {"files_id": blob, "n": 0, "data": b"twice"}
    place.videos["fs.chunks"].insert_many([dict(chunk), dict(chunk)])
    place.videos["fs.files"].insert_one({"_id": blob, "length": 10, "chunkSize": 5})
    blobs = place.blobs()
    for step in (("get", "video", blob, tmp_path / "out"), ("open", "video", ObjectId(), 1)):
        assert kind_of_failure(blobs, *step) == "INTERNAL"
    assert leftovers(place.videos) == {"fs.files": 1, "fs.chunks": 2}


# ---- A server that fails ----


def insist(blobs, *words):
    """As the services do: what has an unknown outcome is done again."""
    def is_done():
        try:
            blobs(*words)
        except Failed as failure:
            if failure.kind != "UNAVAILABLE":
                raise
            return False
        return True

    wait_for(is_done, what=f"the step {words[0]}")


def upload(blobs, blob, path, size):
    """With all that can happen to a chunk: stored, stored again longer, stored again otherwise."""
    insist(blobs, "open", "video", blob, 1)
    insist(blobs, "write", 0, path, 0, size - CHUNK)
    insist(blobs, "flush")
    insist(blobs, "open", "video", blob, 2)
    insist(blobs, "write", size - CHUNK, path, size - CHUNK, CHUNK)
    insist(blobs, "finish", size)
    insist(blobs, "open", "video", blob, 3)  # its record did not come to know
    for shift in (2, 1, 0):
        insist(blobs, "write", 0, path, shift, 10)
        insist(blobs, "flush")
    insist(blobs, "finish", size)


@pytest.mark.parametrize("verdict", ["hold", "cut", "cut after"])
def test_each_write_may_land_late_or_never(place, sample, verdict):
    """Held: it times out, and arrives when all is over. Cut: it never arrived, or its answer."""
    size = 3 * CHUNK + 1000
    path = sample(size)
    for number in range(1, 100):
        wire = place.wire()
        blobs = place.blobs(wire, timeout="500ms")
        blob = str(ObjectId())
        wire.judge_at(number, verdict)
        upload(blobs, blob, path, size)
        was_judged = wire.has_judged
        wire.let_go()
        assert stored(place.videos, blob) == path.read_bytes(), f"write {number}"
        insist(blobs, "remove", "video", blob)
        assert leftovers(place.videos) == {}, f"write {number}"
        blobs.close()
        if not was_judged:
            break
    assert 10 < number < 50


def test_bytes_of_an_overtaken_writer_that_land_late_are_nobodys(place, sample):
    size = 6 * CHUNK
    old, new = sample(size), sample(size - 1)
    wire = place.wire()
    overtaken, newer = place.blobs(wire, timeout="500ms"), place.blobs()
    blob = str(ObjectId())
    insist(overtaken, "open", "video", blob, 1)
    insist(overtaken, "write", 0, new, 0, CHUNK + 500)
    insist(overtaken, "flush")
    insist(overtaken, "write", CHUNK + 500, old, CHUNK + 500, size - CHUNK - 500)
    wire.judge_at(1, "hold")
    with pytest.raises(Failed) as failure:
        overtaken("flush")
    assert failure.value.kind == "UNAVAILABLE"
    newer("open", "video", blob, 2)
    newer("write", CHUNK + 500, new, CHUNK + 500, 2 * CHUNK)
    newer("finish", 3 * CHUNK + 500)
    wire.let_go()
    assert stored(place.videos, blob) == new.read_bytes()[: 3 * CHUNK + 500]
    for step in (("flush",), ("finish", size)):
        with pytest.raises(Failed) as failure:
            insist(overtaken, *step)
        assert failure.value.kind == "CONFLICT"
    assert stored(place.videos, blob) == new.read_bytes()[: 3 * CHUNK + 500]


@pytest.mark.parametrize("number", [1, 2])
def test_what_lands_after_a_removal_goes_with_the_next(place, sample, number):
    """A record's blobs are swept twice, one grace apart: bytes and the file alike."""
    wire = place.wire()
    blobs = place.blobs(wire, timeout="500ms")
    blob = str(ObjectId())
    insist(blobs, "open", "video", blob, 1)
    insist(blobs, "write", 0, sample(2 * CHUNK), 0, 2 * CHUNK)
    wire.judge_at(number, "hold")
    with pytest.raises(Failed):
        blobs("finish", 2 * CHUNK)
    insist(blobs, "remove", "video", blob)
    wire.let_go()
    with pytest.raises(Failed) as failure:
        insist(blobs, "finish", 2 * CHUNK)
    assert failure.value.kind == "CONFLICT"
    insist(blobs, "remove", "video", blob)
    assert leftovers(place.videos) == {}


def test_of_two_writers_of_one_generation_the_later_one_counts(place, sample):
    """Though the second opens while the first one does: marks that are the same would hide bytes."""
    wire = place.wire()
    first, second = place.blobs(wire), place.blobs()
    blob = str(ObjectId())
    opened = []

    def judge(message):
        if is_write(message) or b"fs.writers" not in message or opened:
            return "pass"
        opened.append(second("open", "video", blob, 1))
        return "pass"

    wire.judge = judge
    first("open", "video", blob, 1)
    if not opened:
        second("open", "video", blob, 1)
    older, newer = sample(CHUNK), sample(CHUNK + 1)
    for blobs, path in ((first, older), (second, newer)):
        blobs("write", 0, path, 0, CHUNK)
        blobs("flush")
    second("finish", CHUNK)
    assert stored(place.videos, blob) == newer.read_bytes()[:CHUNK]


def test_what_was_removed_gets_nothing_back(place, sample):
    blobs, cleaner = place.blobs(), place.blobs()
    blob = str(ObjectId())
    blobs("open", "video", blob, 1)
    blobs("write", 0, sample(2 * CHUNK), 0, 2 * CHUNK)
    cleaner("remove", "video", blob)
    with pytest.raises(Failed) as failure:
        blobs("finish", 2 * CHUNK)
    assert failure.value.kind == "CONFLICT"
    assert leftovers(place.videos) == {}


def test_a_removal_between_the_last_look_and_the_file_is_seen(place, sample):
    wire = place.wire()
    blobs, cleaner = place.blobs(wire), place.blobs()
    blob = str(ObjectId())
    blobs("open", "video", blob, 1)
    blobs("write", 0, sample(2 * CHUNK), 0, 2 * CHUNK)
    blobs("flush")

    def judge(message):
        if is_write(message):
            cleaner("remove", "video", blob)
        return "pass"

    wire.judge = judge
    with pytest.raises(Failed) as failure:
        blobs("finish", 2 * CHUNK)
    assert failure.value.kind == "CONFLICT"
    assert leftovers(place.videos) == {}


def test_a_replica_goes_on_where_a_killed_one_was(place, sample):
    path = sample(20 * CHUNK)
    blob = str(ObjectId())
    killed, other = place.blobs(), place.blobs()
    killed("open", "video", blob, 1)
    killed("write", 0, path, 0, 3 * CHUNK + 77)
    killed("flush")
    killed("write", 3 * CHUNK + 77, path, 3 * CHUNK + 77, 15 * CHUNK)
    killed.kill()
    other("open", "video", blob, 2)
    other("write", 3 * CHUNK + 77, path, 3 * CHUNK + 77, 10 * CHUNK)
    other("finish", 13 * CHUNK + 77)
    assert stored(place.videos, blob) == path.read_bytes()[: 13 * CHUNK + 77]


def test_a_download_outlives_lost_connections(place, sample, tmp_path):
    path = sample(40 * CHUNK)
    wire = place.wire()
    blobs = place.blobs(wire, timeout="500ms")
    blob = str(ObjectId())
    insist(blobs, "put", "mp3", blob, path)
    passed = 0

    def judge(message):
        nonlocal passed
        passed += 1
        return "cut" if passed == 10 else "pass"

    wire.judge = judge
    insist(blobs, "get", "mp3", blob, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == path.read_bytes()


# ---- A server that dies, or stands still ----


@pytest.fixture
def own_place():
    server = MongoDb()
    made = Place(server.uri, server.ca_file)
    made.server = server
    yield made
    server.thaw()
    made.close()
    server.stop()


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_an_upload_and_a_download_outlive_the_server(own_place, sample, tmp_path, fault):
    path = sample(60 * CHUNK)
    server, blobs, blob = own_place.server, own_place.blobs(timeout="1s"), str(ObjectId())
    insist(blobs, "open", "video", blob, 1)
    for piece in range(60):
        if piece == 30:
            getattr(server, fault)()
            threading.Timer(1.5, server.start if fault == "kill" else server.thaw).start()
        insist(blobs, "write", piece * CHUNK, path, piece * CHUNK, CHUNK)
    insist(blobs, "finish", 60 * CHUNK)
    getattr(server, fault)()
    threading.Timer(1.5, server.start if fault == "kill" else server.thaw).start()
    insist(blobs, "get", "video", blob, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    wait_for(lambda: stored(own_place.videos, blob) == path.read_bytes())


# ---- Bounds ----


def test_a_slow_upload_holds_one_chunk(place, sample):
    path = sample(5 * CHUNK)
    blobs, blob = place.blobs(), ObjectId()
    blobs("open", "video", blob, 1)
    blobs("write", 0, path, 0, 2 * CHUNK + 10)
    time.sleep(0.3)
    blobs("write", 2 * CHUNK + 10, path, 2 * CHUNK + 10, 10)
    assert place.videos["fs.chunks"].count_documents({"files_id": blob}) == 2
    blobs("write", 2 * CHUNK + 20, path, 2 * CHUNK + 20, 3 * CHUNK - 20)
    blobs("finish", 5 * CHUNK)
    assert stored(place.videos, blob) == path.read_bytes()


def test_memory_does_not_grow_with_the_blob(place, sample, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(96 << 20))
    peaks = {}
    for name, path in (("small", sample(3 << 20)), ("large", large)):
        blobs = place.blobs()
        blobs("put", "video", ObjectId(), path)
        blob = ObjectId()
        blobs("put", "video", blob, path)
        blobs("get", "video", blob, tmp_path / "out")
        peaks[name] = blobs.peak_mib()
        blobs("remove", "video", blob)
    assert peaks["large"] < peaks["small"] + 8


@pytest.mark.parametrize("name", ["half.mp4", "whole.mov", "pieces.mp4"])
def test_chunks_of_pictures_alone_are_not_read(place, tmp_path, name):
    """Who takes the sound out of a film gets the chunks that hold some, and few others."""
    film, blob = reading.film(name, 20), ObjectId()
    ranges = reading.ranges(tmp_path, film)
    list_of = tmp_path / "ranges"
    list_of.write_text("".join(f"{offset} {size}\n" for offset, size in ranges))
    place.blobs()("put", "video", blob, film)
    wire = place.wire()
    place.blobs(wire)("ranges", "video", blob, list_of)
    visits, last = 0, None  # a chunk at a time is held
    for offset, size in ranges:
        for chunk in range(offset // CHUNK, (offset + size - 1) // CHUNK + 1):
            visits += chunk != last
            last = chunk
    assert wire.answered_bytes < 1.02 * visits * CHUNK + 100_000
    assert wire.answered_bytes < 0.7 * film.stat().st_size

"""GridFS up and down, in MB/s: ours beside PyMongo's on the same server, in turn. And how much of a
film of 8 Mb/s is read to take its sound out, by a server that is 1 ms and 1 Gb/s away.

The server is the one that TEST_MONGODB_URI names, or tests/support/servers/mongodb. Both write
what they read to a file, in pieces of 64 KiB as a gateway does. Each round's files are removed, as
the server of our own counts a file's chunks by reading all that there are.
"""

import os
import pathlib
import sys
import tempfile
import time

from bench import FAST_MONGODB, ROOT, median, spread, table

sys.path.insert(0, str(ROOT / "tests" / "system"))

import gridfs  # noqa: E402
import reading  # noqa: E402
from blobs import Place  # noqa: E402
from bson import ObjectId  # noqa: E402
from mongodb import MongoDb  # noqa: E402

SIZE_MB = 100
ROUNDS = 5
PIECE = 64 << 10
FILM_SECONDS = 60


def pieces(stream):
    while piece := stream.read(PIECE):
        yield piece


def put_with_pymongo(files, path):
    with open(path, "rb") as stream, files.new_file() as file:
        for piece in pieces(stream):
            file.write(piece)
    return file._id


def get_with_pymongo(files, blob, path):
    with open(path, "wb") as stream:
        for piece in pieces(files.get(blob)):
            stream.write(piece)


def rate_of(step):
    start = time.monotonic()
    step()
    return SIZE_MB / (time.monotonic() - start)


def measure(place, folder):
    path, out = folder / "sample", folder / "out"
    path.write_bytes(os.urandom(SIZE_MB * 1_000_000))
    blobs, files = place.blobs(), gridfs.GridFS(place.mp3s)
    rates = {"up": ([], []), "down": ([], [])}
    for number in range(ROUNDS + 1):
        blob, theirs = ObjectId(), []
        row = (
            rate_of(lambda: blobs("put", "video", blob, path)),
            rate_of(lambda: theirs.append(put_with_pymongo(files, path))),
            rate_of(lambda: blobs("get", "video", blob, out)),
            rate_of(lambda: get_with_pymongo(files, theirs[0], out)),
        )
        blobs("remove", "video", blob)
        files.delete(theirs[0])
        if number > 0:  # the first round warms the server up
            for figures, rate in zip((*rates["up"], *rates["down"]), row):
                figures.append(rate)
    return rates, blobs.peak_mib()


def distant(place):
    wire = place.wire()
    wire.delay = lambda size: 0.001 + size * 8 / 1e9
    return wire


def read_from(blobs, wire, *step):
    """Seconds, bytes and round trips."""
    trips, size, start = wire.answers, wire.answered_bytes, time.monotonic()
    blobs(*step)
    return time.monotonic() - start, wire.answered_bytes - size, wire.answers - trips


def film_row(place, folder, name):
    film, blob, wire = reading.film(name, FILM_SECONDS), ObjectId(), distant(place)
    size, ranges = film.stat().st_size, reading.ranges(folder, film)
    (folder / "ranges").write_text("".join(f"{offset} {size}\n" for offset, size in ranges))
    blobs = place.blobs(wire)
    place.blobs()("put", "video", blob, film)
    blobs("get", "video", blob, folder / "out")  # connects
    whole = read_from(blobs, wire, "get", "video", blob, folder / "out")
    sound = read_from(blobs, wire, "ranges", "video", blob, folder / "ranges")
    blobs("remove", "video", blob)
    return (
        name,
        f"{sum(size for _, size in ranges) / size:.1%}",
        f"{sound[1] / size:.1%}",
        f"{sound[2]}",
        f"{sound[0]:.2f}",
        f"{whole[2]}",
        f"{whole[0]:.2f}",
    )


def measure_on(uri, ca_file):
    place = Place(uri, ca_file)
    try:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            folder = pathlib.Path(folder)
            films = [film_row(place, folder, name) for name in reading.FILMS]
            return *measure(place, folder), films
    finally:
        place.close()


def main():
    if "TEST_MONGODB_URI" in os.environ:
        rates, peak, films = measure_on(os.environ["TEST_MONGODB_URI"], os.environ.get("TEST_CA_FILE"))
    else:
        os.environ.update(FAST_MONGODB)
        server = MongoDb()
        try:
            rates, peak, films = measure_on(server.uri, server.ca_file)
        finally:
            server.stop()
    table([
        (f"{SIZE_MB} MB, {ROUNDS} times", "ours, MB/s", "PyMongo, MB/s", "ratio"),
        *((way, f"{median(ours):.0f} ({spread(ours)})", f"{median(theirs):.0f} ({spread(theirs)})",
           f"{median(ours) / median(theirs):.2f}") for way, (ours, theirs) in rates.items()),
    ])
    print(f"  our peak memory: {peak:.1f} MiB")
    table([
        ("sound of a film", "asked for", "read", "trips", "s", "all: trips", "s"),
        *films,
    ])


main()

"""The same work with few conversions stored and with ten times as many."""

import os
import time

from bench import judge, median, sample, table
from cpu import Cpu

import gridfs
from bson import ObjectId
from workshop import wait_for

UPLOADS = 20
PACE_S = 1
WINDOW_S = 70  # the uploads, their leases of 30 s, and the cleaner's looks at what ended
TIMES = 10
# What a connection says of itself, and what only we ask.
GREETINGS = {
    "hello", "ismaster", "isMaster", "saslStart", "saslContinue", "serverStatus", "endSessions",
    "buildInfo",
}
REQUESTS_RATIO_MOST = 1.05
CPU_RATIO_MOST = 1.1
SERVER_RATIO_MOST = 1.25


def clip(folder):
    """Of two seconds, so that the services' own work is seen beside their workers'."""
    return sample(
        folder / "short.mp4",
        *["-f", "lavfi", "-i", "color=c=blue:s=320x240:r=25:d=2"],
        *["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=2"],
        *["-c:v", "mpeg4", "-c:a", "aac", "-ac", "2", "-shortest"],
    ).read_bytes()


def upload_paced(place, content):
    """One after the other; each is over long before the next."""
    begin, ids = time.monotonic(), []
    for number in range(UPLOADS):
        time.sleep(max(0, begin + number * PACE_S - time.monotonic()))
        ids.append(place.upload(content))
    return ids


def pickup_of(place, ids):
    """In milliseconds."""
    stored, done = place.stored(), place.done()
    return [(done[id][0] - stored[id]) * 1000 for id in ids]


def pickup(place, content):
    before = place.mail_count()
    ids = upload_paced(place, content)
    place.wait_for_mails(before + UPLOADS, 60)
    return pickup_of(place, ids)


class Phase:
    """What the work took: seconds of CPU by process, requests by command, pickups in ms."""

    def __init__(self):
        self.stored = 0
        self.ours, self.servers, self.commands, self.pickup = {}, {}, {}, []


def commands_of(client):
    counts = client.admin.command("serverStatus")["metrics"]["commands"]
    return {
        name: int(count["total"])
        for name, count in counts.items()
        if isinstance(count, dict) and "total" in count and name not in GREETINGS
    }


def cpu_of_mongod(client):
    """A mongod tells it by itself, wherever it is."""
    told = client.admin.command("serverStatus").get("extra_info", {})
    names = ("user_time_us", "system_time_us")
    return sum(told[name] for name in names) / 1e6 if all(name in told for name in names) else None


def use(place, content):
    """Uploads, and then for each what its user looks at: state, list, MP3."""
    begin = time.monotonic()
    before = place.mail_count()
    ids = upload_paced(place, content)
    place.wait_for_mails(before + UPLOADS, 60)
    for id in ids:
        assert place.anna.get(f"/v1/conversions/{id}").json()["state"] == "done"
        assert len(place.anna.get("/v1/conversions").json()["conversions"]) > 0
        assert place.anna.get(f"/v1/conversions/{id}/mp3").status_code == 200
    assert time.monotonic() < begin + WINDOW_S, "the work took longer than its window"
    time.sleep(begin + WINDOW_S - time.monotonic())
    return ids


def measure(place, content):
    phase = Phase()
    with place.mongodb() as client:
        phase.stored = client["tapedeck"]["conversions"].estimated_document_count()
        commands, mongod = commands_of(client), cpu_of_mongod(client)
        ours, servers = Cpu(place.services), Cpu(place.servers)
    ids = use(place, content)
    phase.ours, phase.servers = ours.lap(), servers.lap()
    with place.mongodb() as client:
        now = commands_of(client)
        if "mongodb" not in place.servers:
            phase.servers["mongodb"] = cpu_of_mongod(client) - mongod if mongod else 0.0
    phase.commands = {name: now[name] - commands.get(name, 0) for name in now}
    phase.pickup = pickup_of(place, ids)
    return phase


def is_settled(records):
    later = time.time() + WINDOW_S
    return all(
        record["due_for"] == "clean" and record["due_at"].timestamp() > later
        for record in records.find({}, {"due_for": 1, "due_at": 1})
    )


def store_copies(client, count):
    """So many records more, with blobs of a byte."""
    records = client["tapedeck"]["conversions"]
    found = list(records.find())
    files = {kind: gridfs.GridFS(client[kind]) for kind in ("videos", "mp3s")}
    for number in range(count):
        record = found[number % len(found)]
        copy = {**record, "_id": ObjectId(), "mp3": {**record["mp3"], "id": ObjectId()}}
        if "request_key" in copy:
            copy["request_key"] = str(copy["_id"])
        files["videos"].put(b"\0", _id=copy["_id"])
        files["mp3s"].put(b"\0", _id=copy["mp3"]["id"])
        records.insert_one(copy)


def run(place, folder):
    content = clip(folder)
    with place.mongodb() as client:
        records = client["tapedeck"]["conversions"]
        wait_for(lambda: is_settled(records), 120, "that nothing is due")
    few = measure(place, content)
    with place.mongodb() as client:
        store_copies(client, TIMES * few.stored - few.stored - UPLOADS)
        wait_for(lambda: is_settled(records), 120, "that nothing is due")
    return few, measure(place, content)


# ---- What is told ----


def row(name, few, many, form):
    return (name, format(few, form), format(many, form), f"{many / few:.3f}" if few else "–")


def tell(few, many):
    ours = sum(few.ours.values()), sum(many.ours.values())
    requests = sum(few.commands.values()), sum(many.commands.values())
    server = few.servers["mongodb"], many.servers["mongodb"]
    others = [sum(p.servers.values()) - p.servers["mongodb"] for p in (few, many)]
    table([
        (f"{UPLOADS} uploads, looks, downloads", "few stored", "many stored", "ratio"),
        row("conversions stored before", few.stored, many.stored, "d"),
        row("CPU of our services, s", *ours, ".2f"),
        *(row(f"  {name}", few.ours[name], many.ours[name], ".2f") for name in few.ours),
        row("requests to MongoDB", *requests, "d"),
        *(row(f"  {name}", few.commands.get(name, 0), many.commands.get(name, 0), "d")
          for name in sorted(many.commands) if many.commands[name]),
        row("pickup, median ms", median(few.pickup), median(many.pickup), ".0f"),
        row("CPU of MongoDB's server, s", *server, ".2f"),
        row("CPU of the other servers, s", *others, ".2f"),
    ])
    judge("cluster: requests, many ÷ few", requests[1] / requests[0], REQUESTS_RATIO_MOST,
          f"{requests[1] / requests[0]:.3f}")
    judge("cluster: our services' CPU, many ÷ few", ours[1] / ours[0], CPU_RATIO_MOST,
          f"{ours[1] / ours[0]:.3f}")
    if "TEST_MONGODB_URI" in os.environ and server[0]:
        judge("cluster: the mongod's CPU, many ÷ few", server[1] / server[0], SERVER_RATIO_MOST,
              f"{server[1] / server[0]:.3f}")

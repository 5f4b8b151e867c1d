"""What is promised whatever happens, on the servers of a cluster: a kill after each step of each
service, and a stop while a server stands still."""

import itertools
import json
import re
import shutil
import signal
import time

import pytest
import requests
from bson import ObjectId

import media
from deck import ANNA, Client, Deck, expect
from remote import RemoteDeck, Servers, environment_of
from test_commands import tapedeck, verdicts
from workshop import FAULTS, kill_after_each_step, wait_for

LEASE = {"recovery.lease": "1500ms"}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    made = Servers(tmp_path_factory.mktemp("remote"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Auth, with Anna logged in, for all."""
    made = Deck(tmp_path_factory.mktemp("home"), accounts=[ANNA])
    made.start_both()
    made.token = made.login()
    made.gateway.kill()
    yield made
    made.close()


def make_deck(folder, servers, home):
    shutil.copytree(home.data, folder / "data")
    deck = RemoteDeck(folder, servers, f"remote{next(numbers)}", ANNA[0])
    deck.auth_url, deck.token = home.auth_url, home.token
    return deck


@pytest.fixture
def deck(tmp_path, servers, home):
    made = make_deck(tmp_path / "deck", servers, home)
    yield made
    made.close()


def upload(client, path):
    answer = client.upload(path.read_bytes(), "?name=clip.mp4")
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


# ---- Kills ----


class Asked:
    """What a user asked for, and what was answered before the gateway died."""

    def __init__(self):
        self.kept, self.deleted = [], []

    def ask(self, client):
        self.kept.append(upload(client, media.clip(1)))
        conversion = upload(client, media.clip(1))
        assert client.delete(f"/v1/conversions/{conversion}").status_code == 204
        self.deleted.append(conversion)


def check(deck, asked, mails_max=1):
    """What was answered is so, whatever else there is has ended too, and nothing is left."""
    wait_for(deck.is_reconciled, 180, "that nothing is due")
    records = deck.records()
    done = {id for id, record in records.items() if record["state"] == "done"}
    assert done == set(records) >= set(asked.kept)
    assert not set(asked.deleted) & set(records)
    assert deck.blobs("video") == done
    assert deck.blobs("mp3") == {records[id]["mp3"]["id"] for id in done}
    for id in records:
        mails = deck.mails_about(id)
        assert 1 <= len(mails) <= mails_max, (id, len(mails))
        assert len({mail["Message-ID"] for mail in mails}) == 1
    for queue in ("video.dead", "mp3.dead"):
        assert deck.length(queue) == 0, queue


def begin(deck, victim, environment):
    """All services but the gateway, where that is not the one to die; it would only see uploads."""
    options = {**LEASE}
    build = {"build": FAULTS, "environment": environment}
    if victim == "gateway":
        deck.start_gateway(options, **build)
    else:
        for name in ("converter", "notifier"):
            deck.start(name, options, **(build if name == victim else {}))
    return next(service for service in deck.services if service.name == victim)


@pytest.mark.skipif(not (FAULTS / "tapedeck").exists(), reason="no build with fault points")
@pytest.mark.parametrize(
    "victim, steps",
    [
        ("gateway", {"after_insert", "after_finish", "after_queue", "after_delete"}),
        ("converter", {"after_claim", "after_ack", "after_mp3_finish", "after_done"}),
        ("notifier", {"after_claim", "after_ack", "after_send", "after_settle"}),
    ],
    ids=["gateway", "converter", "notifier"],
)
def test_a_kill_after_any_step_breaks_no_promise(tmp_path, servers, home, victim, steps):
    def run(n, environment):
        deck, asked = make_deck(tmp_path / str(n), servers, home), Asked()
        try:
            if victim != "gateway":
                asked.kept.append(deck.upload(media.clip(1), email=ANNA[0]))
            service = begin(deck, victim, environment)
            if victim == "gateway":
                try:
                    asked.ask(Client(deck.url, deck.token))
                except OSError:  # of a connection, and only because it died
                    service.process.wait(timeout=30)
                service.wait_until_nothing_comes()
            else:
                wait_for(lambda: not service.is_running() or deck.is_reconciled(), what="an end")
            was_killed = not service.is_running()
            service.kill()
            for name in ("converter", "notifier"):
                deck.start(name, LEASE)
            check(deck, asked, mails_max=2 if victim == "notifier" else 1)
        except AssertionError as failure:
            raise AssertionError(f"step {n}: {failure}\n{deck.records()}\n{deck.logs()}") from None
        finally:
            deck.close()
        return was_killed

    assert kill_after_each_step(run) >= {f"{victim}.{step}" for step in steps}


def test_a_frozen_converter_that_wakes_leaves_nothing(deck):
    """Its worker stands still too; by then another one has made the MP3, and cleaned up."""
    lease = {"recovery.lease": "4s"}
    frozen = deck.start("converter", lease)
    conversion = deck.upload(media.long_clip(60), email=ANNA[0])
    deck.wait_for_state(conversion, "converting")
    wait_for(lambda: deck.databases["mp3s"].fs.chunks.find_one(), what="a part of an MP3")
    frozen.process.send_signal(signal.SIGSTOP)
    for name in ("converter", "notifier"):
        deck.start(name, lease)
    record = deck.wait_for_state(conversion, "done", seconds=300)
    assert record["claim"] == 2 and record["lost"] == 1
    wait_for(deck.is_reconciled, what="that nothing is due")
    assert deck.blobs("mp3") == {record["mp3"]["id"]}
    frozen.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "not ours any more" in frozen.log(), what="that it gives up")
    wait_for(lambda: deck.blobs("mp3") == {record["mp3"]["id"]}, what="that its part is gone")
    assert len(deck.mails_about(conversion)) == 1


# ---- Stops ----


def wait_for_sending(deck):
    def is_sending():
        return [r for r in deck.records().values() if r["notice"]["state"] == "sending"]

    wait_for(is_sending, what="a mail on its way")


@pytest.mark.parametrize("server", ["mongodb", "smtp"])
def test_a_stop_does_not_wait_for_a_server_that_stands_still(deck, servers, server):
    """What cannot be written down is as if the services had been killed."""
    slow = {"mongodb.timeout": "30s", "mail.timeout": "20s"}
    options = {**LEASE, **slow, "stop.drain_max": "500ms"}
    asked = Asked()
    deck.start_gateway(options)
    stopped = [deck.gateway, *(deck.start(name, options) for name in ("converter", "notifier"))]
    client = Client(deck.url, deck.token)
    if server == "smtp":
        servers.signal("smtp", signal.SIGSTOP)
    asked.kept.append(upload(client, media.long_clip(30) if server == "mongodb" else media.clip(1)))
    try:
        if server == "mongodb":
            deck.wait_for_state(asked.kept[0], "converting")
            servers.signal("mongodb", signal.SIGSTOP)
        else:
            wait_for_sending(deck)
        begun = time.monotonic()
        for service in stopped:
            service.process.terminate()
        assert [service.process.wait(timeout=60) for service in stopped] == [0, 0, 0]
        assert time.monotonic() - begun < 15
    finally:
        servers.signal(server, signal.SIGCONT)
    deck.start_gateway(LEASE)
    for name in ("converter", "notifier"):
        deck.start(name, LEASE)
    check(deck, asked, mails_max=2 if server == "smtp" else 1)


def test_probes_do_not_wait_for_a_server_that_stands_still(deck, servers):
    """Records stand still: told as such, and the service is ready as every other replica."""
    def ask(path):
        address = deck.address_of(deck.gateway, "ops")
        answer = requests.get(f"http://{address}/{path}", timeout=20)
        return answer.status_code, answer

    deck.start_gateway({"mongodb.timeout": "30s"})
    wait_for(lambda: ask("readyz")[0] == 200, what="readiness")
    servers.signal("mongodb", signal.SIGSTOP)
    try:
        time.sleep(1.1)  # results are kept for a second
        status, answer = ask("readyz")
        checks = {check["name"]: check["ok"] for check in answer.json()["checks"]}
        assert status == 200, answer.text
        assert checks["queue"] and checks["schema"] and checks["auth"], answer.text
        assert not checks["records"] and not checks["blobs"], answer.text
        status, answer = ask("metrics")
        assert status == 200
        assert re.search(r'^tapedeck_dependency_up{.*"records"} 0$', answer.text, re.MULTILINE)
    finally:
        servers.signal("mongodb", signal.SIGCONT)


@pytest.mark.parametrize(
    "store, collection, index, check",
    [
        ("records", "conversions", "by_request_key", "records"),
        ("videos", "fs.chunks", "files_id_1_n_1", "blobs"),
        ("mp3s", "fs.files", "filename_1_uploadDate_1", "blobs"),
    ],
)
def test_an_index_that_is_missing_is_named_and_made_again(
    deck, servers, store, collection, index, check
):
    """As after a restore that left the indexes out. Replicas work on, as ready as before."""
    def on(command):
        options = {**deck.options(), "data.dir": str(deck.data)}
        return tapedeck(command, environment=environment_of(options))

    deck.start_gateway()
    assert on("migrate").returncode == 0
    assert verdicts(on("doctor"))[check][0] == "ok"
    deck.databases[store][collection].drop_index(index)
    verdict, text = verdicts(on("doctor"))[check]
    assert verdict == "FAILED" and index in text and "tapedeck migrate" in text
    address = deck.address_of(deck.gateway, "ops")
    wait_for(
        lambda: requests.get(f"http://{address}/readyz").status_code == 200, what="readiness"
    )
    assert on("migrate").returncode == 0
    assert verdicts(on("doctor"))[check][0] == "ok"


def test_what_a_stopped_converter_hands_back_another_one_converts(deck):
    patient = {"recovery.lease": "10s"}  # nobody is to be taken over
    first = deck.start("converter", {**patient, "stop.drain_max": "500ms"})
    conversion = deck.upload(media.long_clip(60), email=ANNA[0])
    deck.wait_for_state(conversion, "converting")
    for name in ("converter", "notifier"):
        deck.start(name, patient)
    assert first.stop() == 0
    assert not first.worker_pids()
    record = deck.wait_for_state(conversion, "done", seconds=300)
    assert (record["claim"], record["lost"], record["attempts"]) == (2, 0, 0)
    assert deck.blobs("mp3") == {record["mp3"]["id"]}
    wait_for(lambda: deck.mails_about(conversion), what="the mail")


# ---- Messages ----


def test_what_no_notifier_can_read_is_a_dead_letter_and_stops_nothing(deck):
    deck.start("notifier")
    gone = "66f000000000000000000001"
    bodies = {
        "hello": "JSON",
        '{"mp3_fid": 7}': "mp3_fid",
        json.dumps({"video_fid": gone, "mp3_fid": gone, "username": "a@example.org"}): "original",
        "[]": "object",
    }
    for body in bodies:
        deck.seed("publish", "mp3", body)
    deck.seed("publish", "mp3", json.dumps({"video_fid": gone, "conversion_id": gone}))
    conversion = deck.upload(media.clip(1), email=ANNA[0], message="off")
    deck.seed("done", conversion, media.clip(1))
    deck.seed("message", "mp3", conversion)
    wait_for(lambda: deck.mails_about(conversion), what="the mail")
    wait_for(lambda: deck.length("mp3") == 0, what="an empty queue")
    letters = deck.dead("mp3")
    assert len(letters) == len(bodies)
    for letter, (body, reason) in zip(letters, bodies.items()):
        assert reason in letter.split("\t")[0] and letter.endswith(body), letter[:200]


def test_a_video_of_ours_is_none_of_an_original_gateways(deck):
    """Its file in GridFS says whose it is; otherwise it would be converted for whoever asks."""
    conversion = deck.upload(media.clip(1), email=ANNA[0], message="off", due_ms=600_000)
    document = deck.databases["videos"].fs.files.find_one()["metadata"]
    record = deck.record(conversion)
    assert str(document["conversion_id"]) == conversion
    assert str(document["owner_id"]) == record["owner"]["id"]
    deck.start("converter", {"messages.original": "on"})
    body = {"video_fid": conversion, "mp3_fid": None, "username": "eve@example.org"}
    deck.seed("publish", "video", json.dumps(body))
    [letter] = wait_for(lambda: deck.dead("video"), what="a dead letter")
    assert letter.startswith(f"the video belongs to conversion {conversion}")
    assert deck.record(conversion)["state"] == "queued"


# ---- What a store lost ----


def test_an_mp3_that_gridfs_lost_is_gone_and_doctor_names_it(deck):
    deck.start_gateway()
    deck.start("converter")
    client = Client(deck.url, deck.token)
    conversion = upload(client, media.clip(1))
    lost = deck.wait_for_state(conversion, "done")["mp3"]["id"]
    assert client.get(f"/v1/conversions/{conversion}/mp3").status_code == 200
    deck.databases["mp3s"].fs.files.delete_one({"_id": ObjectId(lost)})  # its chunks are there
    expect(client.get(f"/v1/conversions/{conversion}/mp3"), 410, "gone")
    assert lost in deck.gateway.log()
    nobodys = deck.seed("blob", "mp3", media.clip(1)).strip()
    options = [word for pair in deck.options().items() for word in ("--set", "{}={}".format(*pair))]
    told = deck.command("doctor", "--orphans", *options)
    assert told.returncode == 1 and set(told.stdout.splitlines()) == {
        f"conversion {conversion} (done) has no MP3 {lost}",
        f"MP3 {nobodys} has no record",
    }

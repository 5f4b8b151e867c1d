"""The whole system, killed at any moment: what was answered 202 ends, with one MP3 and one mail,
and nothing is left behind.

Every test run kills each process of `tapedeck serve` once. TAPEDECK_CRASH_ROUNDS=20
TAPEDECK_CRASH_UPLOADS=20 does it twenty times, in twenty uploads each, and prints a table (with
pytest's -s).
"""

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
import requests

import media
from deck import Client, Deck
from workshop import FAULTS, RELEASE, Workshop, fault_points, kill_after_each_step, wait_for

ROUNDS = int(os.environ.get("TAPEDECK_CRASH_ROUNDS", "1"))
UPLOADS = int(os.environ.get("TAPEDECK_CRASH_UPLOADS", "4"))
CLIENTS = 3
VICTIMS = ["gateway", "auth", "converter", "notifier", "worker", "serve"]
EMAIL = "anna@example.org"
PASSWORD = "correct horse battery staple"

# A plain upload whose gateway vanished is due for the cleaner ten leases later.
OPTIONS = {
    "recovery.lease": "700ms",
    "gateway.listen": "127.0.0.1:0",
    "limits.disk_free_min": "0",
    "limits.conversions_per_user_per_day": "0",
}


class Slowly:
    """A file that takes its time, so that a kill can meet it on its way."""

    def __init__(self, path, seconds):
        self.bytes = path.read_bytes()
        self.seconds = seconds

    def __len__(self):
        return len(self.bytes)

    def __iter__(self):
        size = len(self.bytes) // 10 + 1
        for begin in range(0, len(self.bytes), size):
            time.sleep(self.seconds / 10)
            yield self.bytes[begin : begin + size]


class House:
    """`tapedeck serve` on a data folder, killed and started again."""

    def __init__(self, folder):
        self.shop = Workshop(folder)
        self.accepted = []  # conversions that were answered 202
        self.tries = 0
        self.lock = threading.Lock()
        self.serve = None
        self.token = None
        self.command("user", "add", EMAIL, text=PASSWORD + "\n")

    def command(self, *arguments, text=""):
        subprocess.run(
            [str(RELEASE / "tapedeck"), *arguments, "--set", f"data.dir={self.shop.data}"],
            input=text,
            text=True,
            check=True,
            capture_output=True,
        )

    def start(self, build=RELEASE, environment=None):
        self.serve = self.shop.start("serve", OPTIONS, build, environment)

    def url(self):
        found = wait_for(
            lambda: re.findall(
                r"service=gateway event=listening port=gateway address=(\S+)", self.serve.log()
            ),
            what="the gateway's log line `listening`",
        )
        return f"http://{found[-1]}"

    def children(self):
        """Pids of the services, by name."""
        found = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.serve.process.pid)],
            capture_output=True,
            text=True,
        ).stdout
        return {line.split()[2]: int(line.split()[0]) for line in found.splitlines()}

    def pid_of(self, victim):
        """None where it does not run just now."""
        if victim == "serve":
            return self.serve.process.pid
        children = self.children()
        if victim != "worker" or "converter" not in children:
            return children.get(victim)
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(children["converter"])],
            capture_output=True,
            text=True,
        ).stdout.split()
        return int(found[0]) if found else None

    def login(self):
        answer = requests.post(f"{self.url()}/login", auth=(EMAIL, PASSWORD), timeout=15)
        answer.raise_for_status()
        return answer.text

    def upload_once(self, seconds):
        """True where it was answered 202."""
        with self.lock:
            self.tries += 1
        self.token = self.token or self.login()
        answer = requests.post(
            f"{self.url()}/v1/conversions",
            params={"name": "clip.mp4"},
            headers={"Authorization": f"Bearer {self.token}"},
            data=Slowly(media.clip(5), seconds),
            timeout=30,
        )
        if answer.status_code == 202:
            with self.lock:
                self.accepted.append(answer.json()["id"])
        return answer.status_code == 202

    def upload(self, count, over=None):
        """A client that is not content before so many uploads were accepted, whatever happens."""
        dice = random.Random(count)
        end = time.monotonic() + 300
        while count > 0 and not (over and over.is_set()):
            assert time.monotonic() < end, self.shop.logs()
            try:
                if self.upload_once(dice.uniform(0, 0.6)):
                    count -= 1
            except (requests.RequestException, AssertionError):
                pass
            time.sleep(0.1)

    def kill(self, victim):
        """False where it did not run just then."""
        pid = self.pid_of(victim)
        if victim == "serve":
            self.serve.kill()
            self.start()
        elif pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return False
        return pid is not None

    def check(self):
        """Everything that was accepted is done; what was not has left nothing."""
        shop = self.shop
        wait_for(shop.is_reconciled, 180, "that nothing is due")
        records = shop.records()
        assert {r["state"] for r in records.values()} <= {"done"}
        assert set(self.accepted) <= set(records)
        assert len(self.accepted) == len(set(self.accepted))
        named = {record["mp3"]["id"] for record in records.values()}
        wait_for(lambda: shop.blobs("mp3") == named, what="that lost MP3s are removed")
        assert shop.blobs("video") == set(records)
        assert shop.mail_counts() == dict.fromkeys(records, 1)
        assert shop.dead("video") == [] and shop.dead("mp3") == []

    def check_with_logs(self):
        try:
            self.check()
        except AssertionError as failure:
            records = [r for r in self.shop.records().values() if r["state"] != "done"]
            raise AssertionError(f"{failure}\n{records}\n{self.shop.logs()}") from None


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.shop.close()


def one_round(house, victim, dice):
    """Uploads, a kill among them, and everything ends well. A row of the table."""
    before, tries = len(house.accepted), house.tries
    share, rest = divmod(UPLOADS, CLIENTS)
    clients = [
        threading.Thread(target=house.upload, args=(share + (i < rest),)) for i in range(CLIENTS)
    ]
    begin = time.monotonic()
    for client in clients:
        client.start()
    delay = dice.uniform(0, 0.3 * UPLOADS / CLIENTS + 0.3)
    time.sleep(delay)
    has_met = house.kill(victim)
    killed = time.monotonic()
    for client in clients:
        client.join()
    house.check_with_logs()
    records = house.shop.records()
    return {
        "victim": victim,
        "after_s": f"{killed - begin:.2f}",
        "met": "yes" if has_met else "no",
        "tries": house.tries - tries,
        "accepted": len(house.accepted) - before,
        "done": sum(records[id]["state"] == "done" for id in house.accepted[before:]),
        "repeated": sum(records[id]["claim"] > 1 for id in house.accepted[before:]),
        "well_after_s": f"{time.monotonic() - killed:.1f}",
    }


def print_row(cells):
    print("".join(f"{cell!s:>14}" for cell in cells), flush=True)


def test_a_kill_of_any_process_at_any_moment_loses_nothing(house):
    dice = random.Random()
    house.start()
    wait_for(lambda: "event=ready" in house.serve.log(), what="the log line `ready`")
    print()
    for i, victim in enumerate(VICTIMS * ROUNDS):
        row = one_round(house, victim, dice)
        if i == 0:
            print_row(row.keys())
        print_row(row.values())
    assert len(house.accepted) == ROUNDS * len(VICTIMS) * UPLOADS


ALL = {"gateway", "converter", "notifier"}


def services(names):
    return {name.split(".")[0] for name in names}


@pytest.mark.skipif(not (FAULTS / "tapedeck").exists(), reason="no build with fault points")
def test_kills_after_any_step_of_all_services_lose_nothing(house, tmp_path):
    """Each service dies after its n-th step, again and again, all of them at once."""
    names = set()
    for n in [1, 2, 3, 5, 8]:
        trace = tmp_path / f"trace-{n}"
        environment = {"TAPEDECK_FAULT_KILL_AT": str(n), "TAPEDECK_FAULT_TRACE": str(trace)}
        house.start(FAULTS, environment)
        over = threading.Event()
        client = threading.Thread(target=house.upload, args=(1000, over))
        client.start()
        time.sleep(3)
        if n == 8:  # enough for an upload's steps, if not those of what is left from before
            wait_for(lambda: house.accepted, 120, "that an upload is accepted")
            wait_for(lambda: services(names | set(fault_points(trace))) >= ALL, 120, "steps of all")
        over.set()
        client.join()
        house.serve.kill()
        names |= set(fault_points(trace))
    assert services(names) >= ALL, names
    house.start()
    house.check_with_logs()
    assert house.accepted


# ---- The gateway alone, step by step ----


class Asking:
    """What a user asks of a gateway that may die at any moment, and what was answered."""

    def __init__(self, deck):
        self.deck = deck
        self.accepted, self.cancelled, self.deleted = [], [], []

    def upload(self, client, key=None):
        headers = {"Idempotency-Key": key} if key else {}
        answer = client.upload(media.clip(1).read_bytes(), "?name=clip.mp4", headers=headers)
        assert answer.status_code == 202, answer.text
        id = answer.json()["id"]
        if id not in self.accepted:
            self.accepted.append(id)
        return id

    def hang(self, key):
        """An upload that goes silent before its end, once it has the key. Returns the socket."""
        connection = self.deck.connect()
        connection.sendall(
            b"POST /v1/conversions?name=clip.mp4 HTTP/1.1\r\nHost: tapedeck\r\n"
            b"Content-Length: %d\r\nIdempotency-Key: %s\r\nAuthorization: Bearer %s\r\n\r\n0123"
            % (media.clip(1).stat().st_size, key.encode(), self.deck.token.encode())
        )

        def is_open():
            keys = [r["request_key"] for r in self.deck.records().values()]
            return key in keys or not self.deck.gateway.is_running()

        wait_for(is_open, what="an open upload")
        return connection

    def all(self):
        client = Client(self.deck.url, self.deck.token)
        self.upload(client)
        self.upload(client, key="one")
        self.upload(client, key="one")
        cancelled = self.upload(client)
        assert client.post(f"/v1/conversions/{cancelled}/cancel").status_code == 200
        self.cancelled.append(cancelled)
        deleted = self.upload(client)
        assert client.delete(f"/v1/conversions/{deleted}").status_code == 204
        self.deleted.append(deleted)
        self.hang("left").close()
        hanging = self.hang("taken-over")
        self.upload(client, key="taken-over")
        hanging.close()
        wait_for(self.none_is_open, what="the end of the uploads that were left")
        self.deck.gateway.wait_until_nothing_comes()

    def none_is_open(self):
        states = {record["state"] for record in self.deck.records().values()}
        return "uploading" not in states or not self.deck.gateway.is_running()


def check_answers(deck, asking):
    records = deck.records()
    assert {r["state"] for r in records.values()} <= {"done", "cancelled"}
    for id in asking.deleted:
        assert id not in records
    for id in asking.cancelled:
        assert records[id]["state"] == "cancelled"
    done = {id for id, record in records.items() if record["state"] == "done"}
    # The last one asked for may have got further than its answer.
    assert len(set(asking.accepted) - set(asking.cancelled) - set(asking.deleted) - done) <= 1
    keys = [record["request_key"] for record in records.values()]
    assert len(set(keys)) == len(keys)
    assert deck.blobs("video") == done
    assert deck.blobs("mp3") == {records[id]["mp3"]["id"] for id in done}
    assert deck.mail_counts() == dict.fromkeys(done, 1)


@pytest.mark.skipif(not (FAULTS / "tapedeck").exists(), reason="no build with fault points")
def test_a_kill_after_any_step_of_the_gateway_keeps_its_word(tmp_path):
    first = Deck(tmp_path / "first")
    token = first.start_both().login()
    first.gateway.kill()

    def run(n, environment):
        folder = tmp_path / str(n)
        shutil.copytree(first.data, folder / "data")
        deck = Deck(folder, accounts=())
        deck.auth_url, deck.token = first.auth_url, token
        asking = Asking(deck)
        try:
            deck.start_gateway({}, environment, FAULTS)
            try:
                asking.all()
            except OSError:  # of a connection, and only because the gateway died
                deck.gateway.process.wait(timeout=30)
            was_killed = not deck.gateway.is_running()
            deck.gateway.kill()
            deck.start_gateway()
            deck.start("converter")
            deck.start("notifier")
            wait_for(deck.is_reconciled, 180, "that nothing is due")
            check_answers(deck, asking)
        except AssertionError as failure:
            raise AssertionError(f"step {n}: {failure}\n{deck.records()}\n{deck.logs()}") from None
        finally:
            deck.close()
        return was_killed

    try:
        names = kill_after_each_step(run)
    finally:
        first.close()
    assert names >= {
        "gateway.after_insert",
        "gateway.after_finish",
        "gateway.after_queue",
        "gateway.after_cancel",
        "gateway.after_delete",
        "gateway.after_abandon",
        "gateway.after_take_over",
        "publisher.after_publish",
    }

"""What the gateway depends on is down, slow or wrong: auth, records, blobs, the queue."""

import base64
import datetime
import http.client
import re
import sqlite3
import threading
import time

import pytest
import requests

import media
from deck import ANNA, BEN, Deck, expect
from workshop import free_port, wait_for


@pytest.fixture
def deck(tmp_path):
    made = Deck(tmp_path)
    yield made
    made.close()


def status_of(client):
    return client.get("/v1/conversions").status_code


def readiness(deck):
    return requests.get(f"http://{deck.address_of(deck.gateway, 'ops')}/readyz")


class Locked:
    """Nobody can write to this database."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=30)

    def __enter__(self):
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self.connection.execute("ROLLBACK")
        self.connection.close()


# ---- Auth ----


def test_logins_through_the_gateway(deck):
    deck.start_auth({"auth.failed_logins_max": "3"})
    deck.start_gateway()
    url = f"{deck.url}/login"
    answer = requests.post(url, auth=ANNA)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    answer = requests.post(url, auth=ANNA, headers={"Accept": "application/json"})
    assert answer.json()["token_type"] == "Bearer"
    expect(requests.post(url), 401, "missing_credentials")
    for account in ((ANNA[0], "wrong"), ("nobody@example.org", "wrong")):
        answer = requests.post(url, auth=account)
        expect(answer, 401, "invalid_credentials")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    for _ in range(2):
        requests.post(url, auth=(ANNA[0], "wrong"))
    expect(requests.post(url, auth=ANNA), 429, "too_many_requests")
    expect(requests.post(url, auth=ANNA, data=b"x" * 10_000), 413, "upload_too_large")


def login_past_a_proxy(deck, account, *forwarded):
    """The status of a login that came with these headers X-Forwarded-For, in this order."""
    connection = http.client.HTTPConnection(deck.url.removeprefix("http://"), timeout=60)
    credentials = base64.b64encode(":".join(account).encode()).decode()
    connection.putrequest("POST", "/login")
    connection.putheader("Authorization", f"Basic {credentials}")
    for value in forwarded:
        connection.putheader("X-Forwarded-For", value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("trusts, others", [("on", 200), ("off", 429)])
def test_a_client_is_who_the_nearest_proxy_says(deck, trusts, others):
    deck.start_auth({"auth.failed_logins_max": "3"})
    deck.start_gateway({"gateway.trust_forwarded_for": trusts})
    wrong = (ANNA[0], "wrong")
    assert login_past_a_proxy(deck, wrong, "192.0.2.1") == 401
    # What stands before the proxy's own word is the client's invention.
    assert login_past_a_proxy(deck, wrong, "198.51.100.1, 192.0.2.1") == 401
    assert login_past_a_proxy(deck, wrong, "198.51.100.2", "192.0.2.1") == 401
    assert login_past_a_proxy(deck, ANNA, "198.51.100.3", "192.0.2.1") == 429
    assert login_past_a_proxy(deck, ANNA, "192.0.2.1", "198.51.100.3") == others


def test_disabling_and_a_new_password_end_tokens(deck):
    deck.start_both()
    anna, ben = deck.client(), deck.client(BEN)
    assert status_of(anna) == status_of(ben) == 200
    deck.user("disable", ANNA[0])
    wait_for(lambda: status_of(anna) == 401, what="that the token has ended")
    expect(anna.upload(), 401, "invalid_token")
    deck.user("enable", ANNA[0])
    deck.user("passwd", BEN[0], password="another staple")
    wait_for(lambda: status_of(ben) == 401, what="that the token has ended")
    assert status_of(anna) == 401  # the old one stays refused
    assert status_of(deck.client()) == status_of(deck.client((BEN[0], "another staple"))) == 200


def test_without_auth_tokens_go_on_and_logins_wait(deck):
    deck.start_auth(listen=f"127.0.0.1:{free_port()}")
    deck.start_gateway()
    anna, ben = deck.client(), deck.client(BEN)
    deck.user("disable", BEN[0])
    wait_for(lambda: status_of(ben) == 401, what="that the token has ended")
    address = deck.auth_url.removeprefix("http://")
    deck.auth.kill()
    expect(requests.post(f"{deck.url}/login", auth=ANNA), 503, "auth_unavailable")
    assert status_of(anna) == 200 and anna.upload().status_code == 202
    expect(ben.get("/v1/conversions"), 401, "invalid_token")  # what was known still counts
    assert readiness(deck).status_code == 200
    missed = "tokens are checked by what is known"
    wait_for(lambda: missed in deck.gateway.log(), what="that auth is missed")
    deck.user("passwd", ANNA[0], password="another horse")
    assert status_of(anna) == 200  # nobody can know
    deck.start_auth(listen=address)
    wait_for(lambda: status_of(anna) == 401, what="that the token has ended")
    assert deck.login((ANNA[0], "another horse"))
    wait_for(lambda: "auth answers again" in deck.gateway.log(), what="that auth is seen")


def test_a_gateway_that_never_saw_auth_admits_nobody(deck):
    deck.start_auth(listen=f"127.0.0.1:{free_port()}")
    deck.start_gateway()
    token = deck.login()
    address = deck.auth_url.removeprefix("http://")
    deck.auth.kill()
    deck.gateway.stop()
    deck.start_gateway()
    answer = requests.get(
        f"{deck.url}/v1/conversions", headers={"Authorization": f"Bearer {token}"}
    )
    expect(answer, 503, "auth_unavailable")
    assert readiness(deck).status_code == 503 and "auth" in readiness(deck).text
    deck.start_auth(listen=address)
    wait_for(lambda: readiness(deck).status_code == 200, what="readiness")
    assert status_of(deck.client()) == 200


def first_time(log, words):
    """Of a line with these words, in seconds."""
    line = next(line for line in log.splitlines() if words in line)
    time_of = re.match(r"time=(\S+)Z ", line).group(1)
    return datetime.datetime.fromisoformat(time_of).timestamp()


def examine(deck, key):
    return deck.command(
        "doctor", "gateway", "--set", f"gateway.auth_url={deck.auth_url}",
        "--set", f"auth.gateway_key_file={key}",
    ).stdout


def test_a_gateway_whose_secret_is_wrong_admits_nobody(deck, tmp_path):
    deck.start_auth()
    (tmp_path / "other.key").write_text("x" * 64 + "\n")
    deck.start_gateway({"auth.gateway_key_file": str(tmp_path / "other.key")})
    token = requests.post(f"{deck.auth_url}/login", auth=ANNA).text
    answer = requests.get(
        f"{deck.url}/v1/conversions", headers={"Authorization": f"Bearer {token}"}
    )
    expect(answer, 503, "auth_unavailable")
    refused = "auth does not know this gateway's secret"
    wait_for(lambda: refused in readiness(deck).text, what="auth's first answer")
    # Not only once auth had time to start, which is five seconds: this will not pass.
    wait_for(lambda: refused in deck.gateway.log(), what="a line in the log")
    assert first_time(deck.gateway.log(), refused) - first_time(deck.gateway.log(), "listening") < 4
    assert "auth does not know this gateway's secret" in examine(deck, tmp_path / "other.key")
    (tmp_path / "other.key").write_text((deck.data / "gateway.key").read_text())
    wait_for(lambda: readiness(deck).status_code == 200, what="readiness")
    assert "auth does not know this gateway's secret" not in examine(deck, tmp_path / "other.key")


def test_a_slow_auth_holds_up_nobody_else(deck):
    """It takes connections, and says nothing."""
    deck.start_both()
    anna = deck.client()
    deck.auth.process.send_signal(19)
    logins = [
        threading.Thread(target=lambda: requests.post(f"{deck.url}/login", auth=ANNA))
        for _ in range(20)
    ]
    for thread in logins:
        thread.start()
    for _ in range(20):
        assert anna.get("/v1/conversions", timeout=5).status_code == 200
    deck.auth.process.send_signal(18)
    for thread in logins:
        thread.join()
    assert deck.login()


def test_tokens_of_unknown_keys_hold_up_nobody_else(deck):
    """The gateway would ask auth for newer keys, and auth says nothing, to logins neither."""
    deck.start_both(**{"gateway.threads": "4"})
    anna = deck.client()
    header = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"unknown"}').rstrip(b"=").decode()
    made_up = {"Authorization": f"Bearer {header}.e30.AAAA"}
    is_over = threading.Event()

    def ask():
        while not is_over.is_set():
            answer = requests.get(f"{deck.url}/v1/conversions", headers=made_up)
            expect(answer, 401, "invalid_token")

    deck.auth.process.send_signal(19)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    threads += [
        threading.Thread(target=lambda: requests.post(f"{deck.url}/login", auth=ANNA))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert anna.get("/v1/conversions", timeout=2).status_code == 200
            time.sleep(0.1)
    finally:
        is_over.set()
        deck.auth.process.send_signal(18)
        for thread in threads:
            thread.join()


# ---- Records ----


def test_without_records_everything_is_503_until_they_are_there(deck):
    for path in deck.data.glob("records.db*"):
        path.unlink()
    deck.start_both()
    anna = deck.client()
    unknown = "/v1/conversions/66f000000000000000000001"
    for answer in (
        anna.upload(),
        anna.post("/upload", files={"file": b"x"}),
        anna.get("/v1/conversions"),
        anna.get(unknown),
        anna.delete(unknown),
        anna.post(f"{unknown}/cancel"),
        anna.get(f"{unknown}/mp3"),
        anna.get("/download?fid=66f000000000000000000001"),
    ):
        expect(answer, 503, "store_unavailable")
    assert readiness(deck).status_code == 503
    assert requests.get(f"{deck.url}/c/66f000000000000000000001").status_code == 200
    assert deck.blobs("video") == set()
    deck.seed("migrate")
    wait_for(lambda: readiness(deck).status_code == 200, what="readiness")
    assert anna.upload().status_code == 202


def test_records_that_take_no_writes(deck):
    deck.start_both()
    anna = deck.client()
    conversion = anna.upload().json()["id"]
    with Locked(deck.data / "records.db"):
        assert anna.get(f"/v1/conversions/{conversion}").json()["state"] == "queued"
        expect(anna.upload(), 503, "store_unavailable")
    assert anna.upload().status_code == 202
    wait_for(
        lambda: deck.blobs("video") == set(deck.records()) and len(deck.records()) == 2,
        what="that nothing is left",
    )


def test_an_outage_while_a_body_comes_costs_nothing_if_it_is_over_at_its_end(deck):
    deck.start_both()
    anna = deck.client()

    def body():
        yield b"x" * 100_000
        with Locked(deck.data / "records.db"):
            for _ in range(40):  # two ticks and more
                yield b"x" * 1000
                threading.Event().wait(0.1)
        yield b"x"

    answer = anna.upload(body())
    assert answer.status_code == 202, answer.text
    assert answer.json()["video"]["size_bytes"] == 140_001


# ---- Blobs and queue ----


def test_without_blobs_uploads_are_503_and_leave_nothing(deck):
    deck.start_both()
    anna = deck.client()
    kept = anna.upload().json()["id"]
    blobs, away = deck.data / "blobs", deck.data / "blobs.away"
    blobs.rename(away)
    blobs.write_text("no folder")
    expect(anna.upload(), 503, "store_unavailable")
    assert anna.get("/v1/conversions").status_code == 200
    blobs.unlink()
    away.rename(blobs)
    later = anna.upload().json()["id"]
    assert {kept, later} <= deck.blobs("video")
    # What could not be removed is, a minute later; at once where the blobs were back by then.
    wait_for(lambda: "uploading" not in str(deck.records()), what="that the upload is given up")
    for left in [record for name, record in deck.records().items() if name not in (kept, later)]:
        assert left["state"] == "deleting" and left["due_for"] == "clean"
        assert left["due_at"] - left["changed_at"] <= 61_000


def test_without_the_queue_uploads_are_taken_and_converted(deck):
    deck.start_both()
    deck.start("converter")
    anna = deck.client()
    with Locked(deck.data / "queue.db"):
        answer = anna.upload(media.clip(5).read_bytes())
        assert answer.status_code == 202 and answer.elapsed.total_seconds() < 4
        deck.wait_for_state(answer.json()["id"], "done")

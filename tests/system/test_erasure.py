"""What `tapedeck user remove` leaves behind: nothing."""

import sqlite3
import threading

import pytest
import requests

from deck import ANNA, BEN, Deck, expect
from workshop import wait_for

HOUR_MS = 3_600_000


@pytest.fixture
def deck(tmp_path):
    made = Deck(tmp_path)
    made.start_auth({"auth.token_lifetime": "1h"})
    made.start_gateway()
    yield made
    made.close()


def users(deck):
    return deck.command("user", "list").stdout


def as_if_erased_earlier(deck, by_ms):
    with sqlite3.connect(deck.data / "users.db", timeout=30) as database:
        database.execute("UPDATE user SET erased_at = erased_at - ? WHERE erased_at > 0", [by_ms])


def test_all_that_was_a_removed_accounts_goes(deck):
    anna, ben = deck.client(), deck.client(BEN)
    kept = ben.upload().json()["id"]
    for _ in range(3):
        assert anna.upload().status_code == 202
    let_go = threading.Event()

    def body():
        yield b"x"
        let_go.wait()
        yield b"x"

    answers = []
    upload = threading.Thread(target=lambda: answers.append(anna.upload(body())))
    upload.start()
    wait_for(lambda: len(deck.records()) == 5, what="the open upload")
    deck.user("remove", ANNA[0])
    wait_for(lambda: set(deck.records()) == {kept}, what="that Anna's records are gone")
    wait_for(lambda: deck.blobs("video") == {kept}, what="that Anna's videos are gone")
    let_go.set()
    upload.join()
    expect(answers[0], 409, "upload_taken_over")
    expect(anna.get("/v1/conversions"), 401, "invalid_token")
    assert ben.get(f"/v1/conversions/{kept}").status_code == 200


def test_a_removed_account_stays_until_its_last_token_has_ended(deck):
    anna = deck.client()
    anna.upload()
    deck.user("remove", ANNA[0])
    wait_for(lambda: not deck.records(), what="that Anna's records are gone")
    as_if_erased_earlier(deck, HOUR_MS)
    expect(anna.get("/v1/conversions"), 401, "invalid_token")
    assert ANNA[0] in users(deck)
    as_if_erased_earlier(deck, 2 * HOUR_MS)
    wait_for(lambda: ANNA[0] not in users(deck), what="that the account is gone")
    assert BEN[0] in users(deck)
    deck.user("add", ANNA[0], password=ANNA[1])
    assert deck.client().get("/v1/conversions").json()["conversions"] == []


def test_only_gateways_say_what_is_erased(deck):
    url = f"{deck.auth_url}/erased"
    key = {"X-Tapedeck-Gateway-Key": (deck.data / "gateway.key").read_text().strip()}
    expect(requests.post(url, json={"erased": []}), 403, "not_allowed")
    expect(requests.post(url, data=b"no JSON", headers=key), 400, "bad_request")
    expect(requests.post(url, json={"erased": ["x"]}, headers=key), 400, "bad_request")
    with sqlite3.connect(deck.data / "users.db", timeout=30) as database:
        everybody = [row[0] for row in database.execute("SELECT id FROM user")]
    answer = requests.post(url, json={"erased": [*everybody, "0" * 24]}, headers=key)
    assert answer.status_code == 204
    assert ANNA[0] in users(deck) and BEN[0] in users(deck)

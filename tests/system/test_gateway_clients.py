"""Clients that go away, are slow, wait to be asked, or send the same thing again."""

import json
import select
import signal
import socket
import struct
import threading
import time

import pytest
import requests

import media
from deck import BEN, Deck, expect
from workshop import wait_for

LARGE = 1_000_000


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    made = Deck(tmp_path_factory.mktemp("clients"))
    made.start_both(
        **{"limits.uploads_per_user": "1000", "limits.upload_size_max": "1GiB", "recovery.lease": "6s"}
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def anna(deck):
    return deck.client()


@pytest.fixture
def own_deck(tmp_path):
    made = Deck(tmp_path)
    made.start_auth()
    yield made
    made.close()


class Raw:
    """An upload, byte by byte."""

    def __init__(self, deck, client, *headers, path="/v1/conversions", length=LARGE):
        self.socket = deck.connect()
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
        if not any(header.startswith("Authorization") for header in headers):
            lines.append(f"Authorization: Bearer {client.token}")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """Status and body of the next answer."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            assert piece, f"closed after {data}"
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        status = int(head.split()[1])
        if status == 100:
            return 100, {}
        [length] = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ]
        while len(body) < length:
            body += self.socket.recv(65536)
        return status, json.loads(body)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def open_records(deck):
    return {i for i, record in deck.records().items() if record["state"] == "uploading"}


def queued_records(deck):
    return {i for i, record in deck.records().items() if record["state"] == "queued"}


def begin(deck, client, *headers, **arguments):
    """One that has begun; and its id."""
    before = set(deck.records())
    upload = Raw(deck, client, *headers, **arguments)
    [conversion] = wait_for(lambda: open_records(deck) - before, what="an open upload")
    return upload, conversion


# Sooner than what a vanished gateway leaves would be found: ten leases.
SOON_S = 45


def is_gone(deck, conversion):
    return conversion not in deck.records() and conversion not in deck.blobs("video")


# ---- Gone ----


def close(upload):
    upload.socket.close()


def half_close(upload):
    upload.socket.shutdown(socket.SHUT_WR)


FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'


@pytest.mark.parametrize("go", [close, Raw.reset, half_close])
@pytest.mark.parametrize(
    "headers, length, head",
    [
        ([], LARGE, b""),
        (["Transfer-Encoding: chunked"], None, b"60000\r\n"),
        (["Content-Type: multipart/form-data; boundary=b"], LARGE, FORM_HEAD),
    ],
)
def test_a_client_that_goes_leaves_nothing(deck, anna, headers, length, head, go):
    upload, conversion = begin(deck, anna, *headers, length=length)
    upload.send(head + b"x" * 300_000)
    wait_for(lambda: conversion in deck.blobs("video"), what="its blob")
    go(upload)
    wait_for(lambda: is_gone(deck, conversion), SOON_S, what="that nothing is left")


def test_a_client_that_goes_before_its_first_byte_leaves_nothing(deck, anna):
    upload, conversion = begin(deck, anna)
    upload.socket.close()
    wait_for(lambda: is_gone(deck, conversion), SOON_S, what="that nothing is left")


def test_a_body_that_ends_too_early_is_no_upload(deck, anna):
    """A chunked one, which says so itself; then one that is malformed."""
    for tail in (b"0\r\n\r\n", b"zz\r\n"):
        upload, conversion = begin(deck, anna, "Transfer-Encoding: chunked", length=None)
        upload.send(b"5\r\nabcde\r\n" + tail)
        if tail == b"0\r\n\r\n":
            assert upload.answer()[0] == 202
        else:
            wait_for(lambda: is_gone(deck, conversion), SOON_S, what="that nothing is left")
        upload.socket.close()


def test_an_open_upload_shows_how_far_it_is(deck, anna):
    upload, conversion = begin(deck, anna)
    upload.send(b"x" * 400_000)
    wait_for(
        lambda: anna.get(f"/v1/conversions/{conversion}").json()["video"]["received_bytes"] == 400_000,
        what="the bytes so far",
    )
    shown = anna.get(f"/v1/conversions/{conversion}").json()
    assert shown["state"] == "uploading" and shown["video"]["size_bytes"] == LARGE
    upload.send(b"x" * (LARGE - 400_000))
    assert upload.answer()[0] == 202


@pytest.mark.parametrize(
    "end, code", [("cancel", "conversion_cancelled"), ("delete", "upload_taken_over")]
)
def test_an_open_upload_ends_when_its_owner_says_so(deck, anna, end, code):
    upload, conversion = begin(deck, anna)
    upload.send(b"x" * 1000)
    if end == "cancel":
        assert anna.post(f"/v1/conversions/{conversion}/cancel").status_code == 200
    else:
        assert anna.delete(f"/v1/conversions/{conversion}").status_code == 204
    status, problem = upload.answer()
    assert (status, problem["code"]) == (409, code)
    wait_for(lambda: conversion not in deck.blobs("video"), what="that the video goes")


# ---- Expect: 100-continue ----


def test_a_client_that_waits_is_told_before_it_sends(deck, anna):
    before = set(deck.records())
    expecting = "Expect: 100-continue"
    for headers, length, status, code in (
        ([expecting], 5 << 30, 413, "upload_too_large"),
        ([expecting, "Authorization: Bearer x"], 10, 401, "invalid_token"),
        ([expecting, "Idempotency-Key: a b"], 10, 400, "bad_request"),
    ):
        upload = Raw(deck, anna, *headers, length=length)
        answered, problem = upload.answer()
        assert (answered, problem["code"]) == (status, code)
        upload.socket.close()
    assert not set(deck.records()) - before
    upload = Raw(deck, anna, expecting, length=5)
    assert upload.answer() == (100, {})
    upload.send(b"abcde")
    assert upload.answer()[0] == 202


def test_a_client_that_does_not_wait_sees_the_refusal_too(deck, anna):
    """Although it sends on: 200 MB, in full."""
    upload = Raw(deck, anna, length=5 << 30)

    def send():
        try:
            for _ in range(200):
                upload.send(b"x" * 1_000_000)
        except OSError:
            pass

    thread = threading.Thread(target=send)
    thread.start()
    status, problem = upload.answer()
    assert (status, problem["code"]) == (413, "upload_too_large")
    upload.socket.close()
    thread.join()


# ---- Slow ----


def test_connections_that_ask_for_nothing_keep_nobody_out(own_deck):
    deck = own_deck
    deck.start_gateway({"gateway.connections_max": "64"})
    anna = deck.client()
    upload, _ = begin(deck, anna, length=1000)
    unfinished = (
        b"", b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\nabc",
    )
    idle = []
    for i in range(300):
        idle.append(deck.connect())
        idle[-1].sendall(unfinished[i % 3])
    for _ in range(3):
        begun = time.monotonic()
        assert requests.get(f"{deck.url}/c/{'0' * 24}").status_code == 200
        assert time.monotonic() - begun < 10
    upload.send(b"x" * 1000)  # what has been asked for is not cut
    assert upload.answer()[0] == 202
    for connection in idle:
        connection.close()


def memory_kib(service):
    with open(f"/proc/{service.process.pid}/status") as status:
        [line] = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1])


class SlowUpload(Raw):
    def __init__(self, deck, client, length):
        super().__init__(deck, client, length=length)
        self.left = length
        self.go_on(5000)

    def go_on(self, size):
        self.send(b"x" * size)
        self.left -= size

    def is_answered(self):
        return bool(select.select([self.socket], [], [], 0)[0])


def test_five_hundred_slow_uploads_take_little_memory(own_deck, capsys):
    deck = own_deck
    # On a busy disk it can take a while until all are open, in which none may be given up.
    deck.start_gateway({"limits.uploads_per_user": "1000", "recovery.lease": "5m"})
    anna = deck.client()
    before_kib = memory_kib(deck.gateway)
    uploads = [SlowUpload(deck, anna, length=200_000) for _ in range(500)]

    def are_open():
        """Records on a busy disk may take no more for now: whom that meets begins again. A client
        that sends nothing for half a minute would be cut."""
        for i, upload in enumerate(uploads):
            if upload.is_answered():
                assert upload.answer()[0] == 503
                upload.socket.close()
                uploads[i] = upload = SlowUpload(deck, anna, length=200_000)
            upload.go_on(10)
        return len(open_records(deck)) == 500

    wait_for(are_open, 300, what="500 open uploads")
    for _ in range(3):
        for upload in uploads:
            upload.go_on(5000)
        time.sleep(0.2)
    used_kib = memory_kib(deck.gateway)
    # Nobody else waits for them.
    for _ in range(10):
        begun = time.monotonic()
        answer = anna.upload(b"a short one")
        seconds = time.monotonic() - begun
        if answer.status_code != 503:
            break
        time.sleep(int(answer.headers["Retry-After"]))
    assert answer.status_code == 202, answer.text
    with capsys.disabled():
        print(
            f"\n500 slow uploads: {used_kib} KiB resident, {before_kib} KiB before;"
            f" another upload took {seconds:.2f} s"
        )
    assert used_kib < 100 * 1024 and seconds < 10
    for upload in uploads[:250]:
        upload.socket.close()
    for upload in uploads[250:]:
        upload.go_on(upload.left)
    for upload in uploads[250:]:
        assert upload.answer()[0] == 202
    wait_for(lambda: not open_records(deck), 300, what="that none is open")
    wait_for(lambda: deck.blobs("video") == queued_records(deck), 300, what="that nothing is left")


# ---- Idempotency-Key ----


def key(name):
    return {"Idempotency-Key": name}


def test_a_repeat_is_the_same_conversion(deck, anna):
    content = b"not a video" * 1000
    first = anna.upload(content, "?name=a.mp4&bitrate_kbps=96", headers=key("repeat"))
    assert first.status_code == 202
    for query in ("?name=a.mp4&bitrate_kbps=96", "?bitrate_kbps=96"):
        again = anna.upload(content, query, headers=key("repeat"))
        assert again.status_code == 202 and again.json()["id"] == first.json()["id"]
        assert again.headers["Location"] == first.headers["Location"]
    # The body is not asked for.
    upload = Raw(
        deck, anna, "Expect: 100-continue", "Idempotency-Key: repeat",
        path="/v1/conversions?bitrate_kbps=96", length=len(content),
    )
    status, answer = upload.answer()
    assert (status, answer["id"]) == (202, first.json()["id"])
    for other, query in (
        (content + b"x", "?name=a.mp4&bitrate_kbps=96"),
        (content, "?name=a.mp4&bitrate_kbps=128"),
        (content, "?name=a.mp4"),
        (content, "?name=b.mp4&bitrate_kbps=96"),
    ):
        expect(anna.upload(other, query, headers=key("repeat")), 422, "idempotency_mismatch")


def test_a_repeated_form_is_the_same_conversion(deck, anna):
    def send(content=b"not a video" * 1000, **data):
        return anna.post(
            "/upload", files={"file": ("a.mp4", content)}, data=data, headers=key("form")
        )

    first = send(bitrate_kbps="96")
    assert first.status_code == 202
    assert send(bitrate_kbps="96").json()["id"] == first.json()["id"]
    expect(send(b"short"), 422, "idempotency_mismatch")


def test_a_repeated_form_that_says_more_than_its_query_is_the_same_conversion(anna):
    def send(query):
        return anna.post(
            f"/v1/conversions{query}", files={"file": ("a.mp4", b"not a video")},
            data={"name": "form.mp4", "bitrate_kbps": "96"}, headers=key("both"),
        )

    first = send("?name=query.mp4&bitrate_kbps=64")
    assert first.json()["video"]["name"] == "query.mp4"
    assert first.json()["options"] == {"bitrate_kbps": 64}
    again = send("?name=query.mp4&bitrate_kbps=64")
    assert again.status_code == 202 and again.json()["id"] == first.json()["id"]
    expect(send("?name=query.mp4&bitrate_kbps=96"), 422, "idempotency_mismatch")


def test_a_key_is_of_one_user_and_lives_as_long_as_its_conversion(deck, anna):
    first = anna.upload(headers=key("mine"))
    assert deck.client(BEN).upload(headers=key("mine")).json()["id"] != first.json()["id"]
    anna.post(f"/v1/conversions/{first.json()['id']}/cancel")
    assert anna.upload(headers=key("mine")).json()["state"] == "cancelled"
    anna.delete(f"/v1/conversions/{first.json()['id']}")
    second = anna.upload(headers=key("mine"))
    assert second.status_code == 202 and second.json()["id"] != first.json()["id"]


def test_a_refused_upload_frees_its_key(deck, anna):
    expect(anna.upload(b"", headers=key("refused")), 400, "empty_file")
    expect(anna.upload(iter([]), headers=key("refused")), 400, "empty_file")
    assert anna.upload(headers=key("refused")).status_code == 202


def test_a_repeat_takes_the_place_of_an_upload_that_hangs(deck, anna):
    upload, conversion = begin(deck, anna, "Idempotency-Key: hangs", length=11)
    upload.send(b"x")
    second = anna.upload(headers=key("hangs"))
    assert second.status_code == 202 and second.json()["id"] != conversion
    status, problem = upload.answer()
    assert (status, problem["code"]) == (409, "upload_taken_over")
    wait_for(lambda: is_gone(deck, conversion), what="that the first one goes")
    assert second.json()["id"] in deck.blobs("video")


def test_an_upload_that_was_taken_over_does_not_end_well(deck, anna):
    """Even if its last byte comes before it has noticed."""
    upload, conversion = begin(deck, anna, "Idempotency-Key: late", length=11)
    upload.send(b"not a vide")
    second = anna.upload(headers=key("late"))
    upload.send(b"o")
    status, problem = upload.answer()
    assert (status, problem["code"]) == (409, "upload_taken_over")
    assert anna.upload(headers=key("late")).json()["id"] == second.json()["id"]


def test_the_same_key_at_the_same_moment_makes_one_conversion(deck, anna):
    answers = []

    def send():
        for _ in range(20):  # as clients do: on a busy machine somebody may lose too often
            answer = anna.upload(headers=key("race"))
            if answer.status_code != 503:
                break
            time.sleep(int(answer.headers["Retry-After"]))
        answers.append(answer)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {202, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    listed = anna.get("/v1/conversions?limit=100").json()["conversions"]
    assert len(made & {conversion["id"] for conversion in listed}) == len(made) == 1


@pytest.mark.parametrize("value", ["", "a b", "x" * 256, "a\tb", "Grüße"])
def test_a_key_is_visible_ascii(anna, value):
    expect(anna.upload(headers=key(value.encode())), 400, "bad_request")


def test_two_keys_are_no_key(deck, anna):
    upload = Raw(deck, anna, "Idempotency-Key: one", "Idempotency-Key: two", length=3)
    upload.send(b"abc")
    status, problem = upload.answer()
    assert (status, problem["code"]) == (400, "bad_request")
    assert "more than one Idempotency-Key" in problem["detail"]
    upload.socket.close()


# ---- Gateways that go ----


def test_a_killed_gateways_uploads_are_cleaned_up_by_another(own_deck):
    deck = own_deck
    deck.start_gateway({"recovery.lease": "300ms"})
    upload, conversion = begin(deck, deck.client())
    upload.send(b"x" * 300_000)
    wait_for(lambda: conversion in deck.blobs("video"), what="its blob")
    deck.gateway.kill()
    deck.start_gateway({"recovery.lease": "300ms"})
    wait_for(lambda: is_gone(deck, conversion), what="that nothing is left")


def test_a_killed_gateways_uploads_keep_their_owner_out_for_a_lease_only(own_deck):
    deck = own_deck
    options = {"recovery.lease": "6s", "limits.uploads_per_user": "1"}
    deck.start_gateway(options)
    anna = deck.client()
    upload, conversion = begin(deck, anna)
    upload.send(b"x" * 300_000)
    expect(anna.upload(), 429, "too_many_uploads")
    deck.gateway.kill()
    deck.start_gateway(options)
    upload.socket.close()
    anna = deck.client()
    wait_for(lambda: anna.upload().status_code == 202, SOON_S, "an upload that is let in")
    assert conversion in open_records(deck)  # and still waits for its due time


def is_refused(deck):
    try:
        deck.connect().close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: in the middle of the handshake
        return True
    return False


def test_a_gateway_that_stops_lets_uploads_end(own_deck):
    deck = own_deck
    deck.start_gateway({"stop.drain_max": "60s"})
    anna = deck.client()
    content = media.clip(5).read_bytes()
    upload, conversion = begin(deck, anna, length=len(content))
    upload.send(content[:1000])
    deck.gateway.process.send_signal(signal.SIGTERM)
    wait_for(lambda: is_refused(deck), what="that it takes no more connections")
    upload.send(content[1000:])
    status, answer = upload.answer()
    assert (status, answer["id"], answer["state"]) == (202, conversion, "queued")
    assert deck.gateway.process.wait(timeout=60) == 0
    assert deck.length("video") == 1


def test_a_gateway_that_stops_cuts_what_does_not_end(own_deck):
    deck = own_deck
    deck.start_gateway({"stop.drain_max": "1s"})
    upload, conversion = begin(deck, deck.client())
    upload.send(b"x" * 1000)
    assert deck.gateway.stop() == 0
    assert upload.socket.recv(1) == b""
    assert deck.records()[conversion]["state"] == "deleting"
    deck.start_gateway()
    wait_for(lambda: is_gone(deck, conversion), what="that nothing is left")

"""Conversions as resources: reading, listing, cancelling, deleting, downloading; and by whom."""

import os
import re
import socket
import time
import urllib.parse

import pytest
import requests

import media
from deck import BEN, Deck, code, expect
from workshop import wait_for

UNKNOWN = "66f000000000000000000001"


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    made = Deck(tmp_path_factory.mktemp("conversions"))
    made.start_both()
    yield made
    made.close()


@pytest.fixture(scope="module")
def anna(deck):
    return deck.client()


@pytest.fixture(scope="module")
def ben(deck):
    return deck.client(BEN)


@pytest.fixture(scope="module")
def done(deck, anna):
    """A conversion of Anna's that is done; afterwards nothing converts."""
    answer = anna.upload(media.clip(5).read_bytes(), "?name=talk.mp4")
    converter = deck.start("converter")
    deck.wait_for_state(answer.json()["id"], "done")
    converter.stop()
    return anna.get(f"/v1/conversions/{answer.json()['id']}").json()


@pytest.fixture
def mp3(anna, done):
    return f"/v1/conversions/{done['id']}/mp3"


@pytest.fixture
def content(anna, mp3):
    return anna.get(mp3).content


# ---- Whose ----


def test_what_is_somebody_elses_is_not_there(anna, ben, done):
    queued = anna.upload().json()["id"]
    calls = [
        ("GET", "/v1/conversions/{}"),
        ("DELETE", "/v1/conversions/{}"),
        ("POST", "/v1/conversions/{}/cancel"),
        ("GET", "/v1/conversions/{}/mp3"),
        ("HEAD", "/v1/conversions/{}/mp3"),
        ("GET", "/download?fid={}"),
    ]

    def seen(method, path, conversion):
        answer = ben.request(method, path.format(conversion))
        if method != "HEAD":
            expect(answer, 404, "not_found")
        body = {**answer.json(), "request_id": ""} if method != "HEAD" else None
        names = set(answer.headers) - {"Content-Length"}
        return answer.status_code, names, body

    for method, path in calls:
        unknown = seen(method, path, UNKNOWN)
        for conversion in (done["id"], queued, "x", "66F000000000000000000001"):
            assert seen(method, path, conversion) == unknown
    expect(ben.get(f"/download?fid={done['mp3']['id']}"), 404, "not_found")
    assert ben.get("/v1/conversions").json()["conversions"] == []
    for conversion, state in ((done["id"], "done"), (queued, "queued")):
        assert anna.get(f"/v1/conversions/{conversion}").json()["state"] == state


def test_the_page_of_a_conversion_says_nothing_about_it(deck, done):
    pages = [requests.get(f"{deck.url}/c/{i}") for i in (done["id"], UNKNOWN)]
    assert [page.status_code for page in pages] == [200, 200]
    assert pages[0].headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in pages[0].headers["Content-Security-Policy"]
    assert pages[0].text.replace(done["id"], UNKNOWN) == pages[1].text
    assert "talk" not in pages[0].text
    assert f"{deck.url}/v1/conversions/{done['id']}/mp3" in pages[0].text
    # Of a failed one there is no MP3: the conversion says why.
    assert f"{deck.url}/v1/conversions/{done['id']}</pre>" in pages[0].text
    expect(requests.get(f"{deck.url}/c/<script>"), 404, "not_found")


# ---- Lists ----


def test_lists_are_paged_newest_first(deck, ben):
    made = []
    for _ in range(7):
        made.insert(0, ben.upload(query="?name=list.mp4").json()["id"])
        ben.post(f"/v1/conversions/{made[0]}/cancel")

    def pages(query):
        cursor, found = None, []
        while True:
            more = f"&cursor={cursor}" if cursor else ""
            page = ben.get(f"/v1/conversions?{query}{more}").json()
            found.append([c["id"] for c in page["conversions"]])
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    for limit, sizes in ((3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)):
        found = pages(f"limit={limit}")
        assert [len(page) for page in found] == sizes
        assert sum(found, []) == made
    queued = ben.upload().json()["id"]
    assert pages("state=queued&limit=1") == [[queued]]
    assert pages("state=cancelled&limit=4") == [made[:4], made[4:]]
    assert pages("state=failed") == [[]]
    # What is new while somebody pages appears on no later page.
    first = ben.get("/v1/conversions?limit=2").json()
    ben.upload()
    second = ben.get(f"/v1/conversions?limit=2&cursor={first['next_cursor']}").json()
    assert [c["id"] for c in second["conversions"]] == made[1:3]


def test_the_standard_page_has_twenty(deck, anna):
    for _ in range(21):
        assert anna.upload().status_code == 202
    page = anna.get("/v1/conversions").json()
    assert len(page["conversions"]) == 20 and page["next_cursor"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=1e9", "state=deleting", "state=Done",
     "cursor=x", "cursor=" + "A" * 400, "cursor=", "limit=99999999999999999999"],
)
def test_a_list_is_asked_for_properly(anna, query):
    expect(anna.get(f"/v1/conversions?{query}"), 400, "bad_request")


# ---- Cancelling and deleting ----


def test_cancelling(anna, done):
    conversion = anna.upload().json()["id"]
    answer = anna.post(f"/v1/conversions/{conversion}/cancel")
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled" and answer.json()["expires_at"]
    assert answer.json()["id"] == conversion
    expect(anna.post(f"/v1/conversions/{conversion}/cancel"), 409, "already_ended")
    expect(anna.post(f"/v1/conversions/{done['id']}/cancel"), 409, "already_ended")
    expect(anna.get(f"/v1/conversions/{conversion}/mp3"), 409, "conversion_cancelled")
    assert anna.get(f"/v1/conversions/{done['id']}").json()["state"] == "done"


def test_there_is_no_mp3_before_the_end(anna):
    conversion = anna.upload().json()["id"]
    expect(anna.get(f"/v1/conversions/{conversion}/mp3"), 409, "not_ready")
    expect(anna.get(f"/download?fid={conversion}"), 409, "not_ready")


def test_deleting_takes_everything_away(deck, anna):
    queued = anna.upload().json()["id"]
    done = anna.upload(media.clip(5).read_bytes()).json()["id"]
    converter = deck.start("converter")
    deck.wait_for_state(done, "done")
    converter.stop()
    mp3 = deck.record(done)["mp3"]["id"]
    for conversion in (queued, done):
        answer = anna.delete(f"/v1/conversions/{conversion}")
        assert answer.status_code == 204 and answer.content == b""
        expect(anna.get(f"/v1/conversions/{conversion}"), 404, "not_found")
        expect(anna.get(f"/v1/conversions/{conversion}/mp3"), 404, "not_found")
        expect(anna.delete(f"/v1/conversions/{conversion}"), 404, "not_found")
        expect(anna.post(f"/v1/conversions/{conversion}/cancel"), 404, "not_found")
        assert conversion not in anna.get("/v1/conversions?limit=100").text
        record = deck.record(conversion)
        assert record is None or "anna" not in str(record)
    expect(anna.get(f"/download?fid={mp3}"), 404, "not_found")
    wait_for(lambda: not {queued, done} & deck.blobs("video"), what="that the videos go")
    wait_for(lambda: mp3 not in deck.blobs("mp3"), what="that the MP3 goes")
    wait_for(lambda: not {queued, done} & set(deck.records()), what="that the records go")


# ---- Downloads ----


def test_a_download_and_its_headers(anna, mp3, done, content):
    answer = anna.get(mp3)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert int(answer.headers["Content-Length"]) == done["mp3"]["size_bytes"] == len(content)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == f'"{done["mp3"]["id"]}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in answer.headers["Cache-Control"]
    head = anna.head(mp3)
    assert head.status_code == 200 and head.content == b""
    same = set(answer.headers) - {"Date", "X-Request-Id"}
    assert {n: head.headers.get(n) for n in same} == {n: answer.headers[n] for n in same}
    assert anna.head(f"/download?fid={done['mp3']['id']}").headers["ETag"] == head.headers["ETag"]


@pytest.mark.parametrize(
    "wanted, begin, end",
    [("bytes=0-0", 0, 1), ("bytes=100-199", 100, 200), ("bytes=1000-", 1000, None),
     ("bytes=-500", -500, None), ("bytes=0-99999999999999999999", 0, None),
     ("bytes=-99999999", 0, None), ("BYTES=5-6", 5, 7)],
)
def test_a_range(anna, mp3, content, wanted, begin, end):
    answer = anna.get(mp3, headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == content[begin:end]
    first, last, size = map(
        int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers["Content-Range"]).groups()
    )
    assert size == len(content) and content[first : last + 1] == answer.content


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=-0"])
def test_a_range_that_is_not_there(anna, mp3, content, wanted):
    answer = anna.get(mp3, headers={"Range": wanted})
    expect(answer, 416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(content)}"
    assert not {"Content-Disposition", "ETag", "Accept-Ranges"} & set(answer.headers)


@pytest.mark.parametrize("wanted", ["bytes=5-2", "lines=1-2", "bytes=0-1,4-5", "bytes", "bytes=-"])
def test_what_is_no_single_range_gets_the_whole(anna, mp3, content, wanted):
    answer = anna.get(mp3, headers={"Range": wanted})
    assert answer.status_code == 200 and answer.content == content


def test_conditions(anna, mp3, content):
    etag = anna.head(mp3).headers["ETag"]
    for value in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = anna.get(mp3, headers={"If-None-Match": value})
        assert answer.status_code == 304 and answer.content == b""
        assert answer.headers["ETag"] == etag
    assert anna.get(mp3, headers={"If-None-Match": '"x"'}).status_code == 200
    part = {"Range": "bytes=0-9"}
    assert anna.get(mp3, headers={**part, "If-Range": etag}).content == content[:10]
    for stale in ('"x"', f"W/{etag}", "Wed, 25 Nov 2026 10:00:00 GMT"):
        assert anna.get(mp3, headers={**part, "If-Range": stale}).content == content
    head = anna.head(mp3, headers=part)  # ranges are of GET alone
    assert head.status_code == 200 and int(head.headers["Content-Length"]) == len(content)


def test_a_broken_download_goes_on(deck, anna, mp3, content):
    """Half of it, then the rest, as curl -C - does."""
    with anna.get(mp3, stream=True) as answer:
        half = next(answer.iter_content(len(content) // 2))
    rest = anna.get(
        mp3, headers={"Range": f"bytes={len(half)}-", "If-Range": answer.headers["ETag"]}
    )
    assert rest.status_code == 206 and half + rest.content == content


def make_mp3(deck, anna):
    """The ids of a conversion and of its MP3."""
    conversion = anna.upload(media.clip(5).read_bytes()).json()["id"]
    converter = deck.start("converter")
    deck.wait_for_state(conversion, "done")
    converter.stop()
    return conversion, deck.record(conversion)["mp3"]["id"]


def test_an_mp3_that_the_store_lost_is_gone(deck, anna):
    conversion, mp3 = make_mp3(deck, anna)
    for path in (deck.data / "blobs").rglob(f"{mp3}*"):
        path.unlink()
    expect(anna.get(f"/v1/conversions/{conversion}/mp3"), 410, "gone")
    expect(anna.get(f"/download?fid={mp3}"), 410, "gone")
    assert deck.metric(deck.gateway, "tapedeck_mp3_gone_total") == 2
    assert "level=error" in deck.gateway.log()


def test_an_mp3_that_lost_its_end_is_not_sent(deck, anna):
    conversion, mp3 = make_mp3(deck, anna)
    [path] = (deck.data / "blobs").rglob(mp3)
    os.truncate(path, path.stat().st_size - 1)
    expect(anna.get(f"/v1/conversions/{conversion}/mp3"), 503, "store_unavailable")
    assert "its note says" in deck.gateway.log()


def test_a_download_is_cut_when_its_conversion_is_deleted(deck, anna):
    """Unless it has ended before: it is larger than all buffers on its way."""
    with open(media.long_clip(5), "rb") as file:
        conversion = anna.upload(file, "?bitrate_kbps=320&notify=none").json()["id"]
    converter = deck.start("converter")
    deck.wait_for_state(conversion, "done")
    converter.stop()
    size = deck.record(conversion)["mp3"]["size"]
    assert size > 10_000_000
    with deck.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(
            f"GET /v1/conversions/{conversion}/mp3 HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {anna.token}\r\n\r\n".encode()
        )
        received = len(connection.recv(65536))
        assert anna.delete(f"/v1/conversions/{conversion}").status_code == 204
        time.sleep(2)  # longer than recovery.lease, after which it is looked for
        try:
            while piece := connection.recv(65536):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert received < size
    wait_for(lambda: "transfer cut" in deck.gateway.log(), what="a line in the log")


def test_fid_is_required(anna):
    for query in ("", "?fid=", "?id=66f000000000000000000001"):
        expect(anna.get(f"/download{query}"), 400, "fid_required")
    expect(anna.get("/download?fid=" + urllib.parse.quote("../x")), 404, "not_found")


# ---- What is common to all calls ----


def test_paths_and_methods(deck, anna):
    for path in ("/", "/x", "/v1", "/v1/conversions/", "/v1/conversions/a/b", "/login/"):
        expect(anna.get(path), 404, "not_found")
    for method, path, allow in (
        ("PUT", "/v1/conversions", "GET, POST"),
        ("POST", "/v1/conversions/x", "DELETE, GET"),
        ("DELETE", "/v1/conversions/x/mp3", "GET, HEAD"),
        ("GET", "/login", "POST"),
        ("GET", "/upload", "POST"),
        ("POST", "/download", "GET, HEAD"),
        ("POST", f"/c/{UNKNOWN}", "GET, HEAD"),
    ):
        answer = anna.request(method, path)
        expect(answer, 405, "method_not_allowed")
        allowed = answer.headers["Allow"].split(", ")
        assert sorted(allowed) == sorted(allow.split(", ")), path


def test_every_answer_has_a_request_id_and_every_problem_its_members(deck, anna):
    answers = [
        anna.get("/v1/conversions"),
        anna.get("/x"),
        anna.upload(),
        requests.post(f"{deck.url}/login"),
        requests.get(f"{deck.url}/c/{UNKNOWN}"),
        anna.upload(query="?colour=red"),
    ]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    for answer in answers:
        if answer.status_code >= 400:
            problem = answer.json()
            assert {"title", "status", "code", "detail", "action", "request_id"} <= set(problem)
            assert all(problem.values()), problem
            assert code(answer) == problem["code"]
    for request_id in ids:  # which are logged once they are answered
        wait_for(lambda: f"request={request_id}" in deck.gateway.log(), what=request_id)  # noqa: B023
    # A client's own id is taken where it is harmless.
    answer = anna.get("/v1/conversions", headers={"X-Request-Id": "my-request-1"})
    assert answer.headers["X-Request-Id"] == "my-request-1"
    answer = anna.get("/v1/conversions", headers={"X-Request-Id": 'a" b'})
    assert answer.headers["X-Request-Id"] != 'a" b'


def test_a_method_that_nobody_serves_is_no_label(deck, anna):
    for i in range(3):
        expect(anna.request(f"BREW{i}", "/v1/conversions"), 405, "method_not_allowed")
    address, counted = deck.address_of(deck.gateway, "ops"), 'method="other",route="",status="405"} 3'

    def metrics():
        return requests.get(f"http://{address}/metrics").text

    # A request is counted once it is answered.
    wait_for(lambda: re.search(rf"http_requests_total{{[^}}]*{counted}", metrics()), what=counted)
    assert "BREW" not in metrics()


def test_requests_that_are_not_http(deck, anna):
    def answer_to(text):
        with deck.connect() as connection:
            connection.sendall(text)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer

    line = b"GET /v1/conversions HTTP/1.1\r\n"
    close = b"Host: a\r\nConnection: close\r\n\r\n"
    for request in (
        line + b"\r\n",
        line + b"Host: a\r\nHost: b\r\n\r\n",
        line + b"Host : a\r\n\r\n",
        line.replace(b"conversions", b"conversions?title=%zz") + close,
        line.replace(b"conversions", b"conversions?title=%00") + close,
        b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        answer = answer_to(request)
        assert answer.startswith(b"HTTP/1.1 400 "), (request, answer)
    answer = answer_to(line + b"X-Large: " + b"x" * 60_000 + b"\r\n" + close)
    assert answer.startswith(b"HTTP/1.1 431 "), answer

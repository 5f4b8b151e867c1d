"""Uploads: a form or the file itself, its name and options, and what is refused."""

import urllib.parse

import pytest
import requests

import media
from deck import ANNA, Deck, expect
from workshop import wait_for


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    made = Deck(tmp_path_factory.mktemp("uploads"))
    made.start_both(**{"limits.uploads_per_user": "100"})
    made.start("converter", {"recovery.lease": "10s"})
    made.start("notifier", {"gateway.public_url": made.url})
    yield made
    made.close()


@pytest.fixture(scope="module")
def anna(deck):
    return deck.client()


BOUNDARY = "boundary-of-the-test"


def part(name, value, file_name=None):
    """A part of a form, byte by byte as given."""
    head = b'Content-Disposition: form-data; name="' + name.encode() + b'"'
    if file_name is not None:
        head += b'; filename="' + file_name + b'"'
    return head + b"\r\n\r\n" + value


def form(*parts, end=b"--"):
    line = b"--" + BOUNDARY.encode()
    return b"".join(line + b"\r\n" + p + b"\r\n" for p in parts) + line + end + b"\r\n"


def send_form(client, *parts, path="/upload", **arguments):
    return client.post(
        path,
        data=form(*parts, **arguments),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )


FILE = part("file", b"not a video", b"talk.mp4")


def test_from_upload_to_mp3_and_mail(deck, anna, tmp_path):
    content = media.clip(5).read_bytes()

    def pieces():
        for begin in range(0, len(content), 4000):
            yield content[begin : begin + 4000]

    answers = [
        anna.post("/upload", files={"file": ("talk.mp4", content)}, data={"bitrate_kbps": "96"}),
        anna.post("/v1/conversions", files={"anything": ("talk.mp4", content)}),
        anna.upload(content, "?name=talk.mp4&bitrate_kbps=192"),
        anna.upload(pieces(), "?name=talk.mp4&bitrate_kbps=192"),
    ]
    for answer, bitrate in zip(answers, (96, 128, 192, 192)):
        assert answer.status_code == 202, answer.text
        queued = answer.json()
        conversion = queued["id"]
        assert answer.headers["Location"] == f"/v1/conversions/{conversion}"
        assert queued["state"] in ("queued", "converting", "done")
        assert queued["owner"] == "anna@example.org"
        assert queued["video"]["name"] == "talk.mp4"
        assert queued["video"]["size_bytes"] == queued["video"]["received_bytes"] == len(content)
        done = wait_for(
            lambda: (lambda c: c["state"] == "done" and c)(
                anna.get(f"/v1/conversions/{conversion}").json()
            ),
            what="done",
        )
        assert done["mp3"]["bitrate_kbps"] == bitrate
        assert done["attempts"] == 1 and done["error"] is None and done["progress"] == 1
        for path in (
            f"/v1/conversions/{conversion}/mp3",
            f"/download?fid={conversion}",
            f"/download?fid={done['mp3']['id']}",
        ):
            mp3 = anna.get(path)
            assert mp3.status_code == 200 and mp3.headers["Content-Type"] == "audio/mpeg"
            assert len(mp3.content) == done["mp3"]["size_bytes"]
        (tmp_path / "out.mp3").write_bytes(mp3.content)
        assert abs(media.seconds_of(tmp_path / "out.mp3") - 5) < 0.2
        wait_for(lambda: deck.mails_about(conversion), what="the mail")
        [mail] = deck.mails_about(conversion)
        text = mail.get_body(("plain",)).get_content()
        assert f"{deck.url}/c/{conversion}" in text and done["mp3"]["id"] in text


def test_options_come_in_any_order_and_place(anna):
    answer = send_form(
        anna, part("title", "Grüße".encode()), FILE, part("channels", b"1"),
        part("name", b"other.mkv"), path="/v1/conversions?bitrate_kbps=64",
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["options"] == {"bitrate_kbps": 64, "channels": 1, "title": "Grüße"}
    assert answer.json()["video"]["name"] == "other.mkv"


def test_the_content_decides_what_a_file_is(deck, anna):
    answer = anna.upload(media.not_media().read_bytes(), "?name=talk.mp4")
    deck.wait_for_state(answer.json()["id"], "failed")
    failed = anna.get(f"/v1/conversions/{answer.json()['id']}").json()
    assert failed["error"]["code"] == "not_media" and failed["error"]["message"]
    expect(anna.get(f"/v1/conversions/{answer.json()['id']}/mp3"), 409, "conversion_failed")
    answer = anna.upload(
        media.clip(5).read_bytes(), "?name=talk.txt", headers={"Content-Type": "text/plain"}
    )
    deck.wait_for_state(answer.json()["id"], "done")


@pytest.mark.parametrize(
    "parts, code",
    [
        ([FILE, FILE], "exactly_one_file_required"),
        ([part("title", b"x")], "exactly_one_file_required"),
        ([part("file", b"not a video")], "unknown_option"),  # a field, since it has no file name
        ([part("file", b"", b"talk.mp4")], "empty_file"),
        ([FILE, part("colour", b"red")], "unknown_option"),
        ([part("n" * 200, b"red"), FILE], "unknown_option"),
        ([part("bitrate_kbps", b"9999"), FILE], "option_out_of_range"),
        ([FILE, part("bitrate_kbps", b"128\0")], "option_out_of_range"),
        ([FILE, part("channels", b"two")], "option_out_of_range"),
        ([FILE, part("title", b"x" * 5000)], "option_out_of_range"),
        ([FILE, part("vbr_quality", b"2"), part("bitrate_kbps", b"128")], "option_out_of_range"),
        ([FILE, *[part("title", b"x")] * 60], "bad_request"),
        ([], "exactly_one_file_required"),
    ],
)
def test_a_form_that_is_not_right(deck, anna, parts, code):
    before = set(deck.records())
    expect(send_form(anna, *parts), 422 if "option" in code else 400, code)
    wait_for(lambda: not set(deck.records()) - before, what="that nothing is left behind")


@pytest.mark.parametrize(
    "field, words",
    [
        (part("comment", b"x" * 5000), 'field "comment" is too long'),
        (part("genre", b"Jazz\0"), 'field "genre" has a NUL'),
        (part("n" * 200, b"red"), "a longer name than any option"),
        (part("bitrate", b"64"), 'no option "bitrate"'),
    ],
)
def test_a_field_that_is_refused_is_named(deck, anna, field, words):
    before = set(deck.records())
    assert words in send_form(anna, FILE, field).json()["detail"]
    wait_for(lambda: not set(deck.records()) - before, what="that nothing is left behind")


@pytest.mark.parametrize("before, after", [(3 << 20, 0), (0, 3 << 20)])
def test_a_form_has_little_beside_its_file(deck, anna, before, after):
    records = set(deck.records())
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    body = b"x" * before + b"\r\n" + form(FILE) + b"x" * after
    answer = anna.post("/upload", data=body, headers=headers)
    expect(answer, 400, "bad_request")
    wait_for(lambda: set(deck.records()) == records, what="that nothing is left behind")


def test_a_form_that_ends_early_or_is_none(deck, anna):
    expect(send_form(anna, FILE, end=b""), 400, "bad_request")
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=" + "b" * 100):
        answer = anna.post("/upload", data=form(FILE), headers={"Content-Type": content_type})
        expect(answer, 400, "bad_request")
    expect(anna.post("/upload", data=b"not a form"), 400, "exactly_one_file_required")
    expect(anna.post("/upload"), 400, "exactly_one_file_required")


@pytest.mark.parametrize(
    "query, code",
    [
        ("?colour=red", "unknown_option"),
        ("?bitrate_kbps=", "option_out_of_range"),
        ("?bitrate_kbps=-1", "option_out_of_range"),
        ("?sample_rate_hz=44101", "option_out_of_range"),
        ("?notify=pigeon", "option_out_of_range"),
        ("?track=1&language=de", "option_out_of_range"),
        ("?title=%00", "bad_request"),
    ],
)
def test_a_query_that_is_not_right(deck, anna, query, code):
    before = set(deck.records())
    expect(anna.upload(query=query), 422 if "option" in code else 400, code)
    assert not set(deck.records()) - before


def test_an_empty_body_is_refused(deck, anna):
    before = set(deck.records())
    expect(anna.upload(b""), 400, "empty_file")
    expect(anna.upload(iter([])), 400, "empty_file")
    wait_for(lambda: not set(deck.records()) - before, what="that nothing is left behind")


NAMES = [
    (b"talk.mp4", "talk.mp4"),
    (b"../../etc/passwd", "passwd"),
    (b"C:\\videos\\talk.mp4", "talk.mp4"),
    (b"/", "video"),
    (b"..", "video"),
    (b"  ", "video"),
    (b"", "video"),
    ("Grüße, 世界.mp4".encode(), "Grüße, 世界.mp4"),
    (b"\xff.mp4", "\ufffd.mp4"),
    ("talk\u202e4pm.exe".encode(), "talk4pm.exe"),
    ("a\u0085b\u200fc.mp4".encode(), "abc.mp4"),
    (b"<script>.mp4", "<script>.mp4"),
    (b"'; drop table conversions;--.mp4", "'; drop table conversions;--.mp4"),
    (b"n" * 5000 + b".mp4", "n" * 251 + ".mp4"),
]


@pytest.mark.parametrize("sent, stored", NAMES)
def test_names_in_the_query(anna, sent, stored):
    answer = anna.upload(query="?name=" + urllib.parse.quote(sent))
    assert answer.status_code == 202, answer.text
    assert answer.json()["video"]["name"] == stored


@pytest.mark.parametrize("sent, stored", [n for n in NAMES if len(n[0]) < 1000])
def test_names_in_a_form(anna, sent, stored):
    answer = send_form(anna, part("file", b"not a video", sent))
    assert answer.status_code == 202, answer.text
    assert answer.json()["video"]["name"] == stored


def test_names_with_control_characters(anna):
    for sent in (b"a%0D%0ASet-Cookie: x=1%0D%0A.mp4", b"a\tb.mp4"):
        answer = send_form(anna, part("file", b"not a video", sent))
        assert answer.status_code == 202, answer.text
        assert answer.json()["video"]["name"] in ("aSet-Cookie: x=1.mp4", "ab.mp4")
    for sent in (b"a\0b.mp4", b"a\r\nX: y.mp4"):
        expect(send_form(anna, part("file", b"not a video", sent)), 400, "bad_request")
    answer = anna.upload(query="?name=a%0D%0ASet-Cookie:%20x%3D1%0D%0A.mp4")
    assert answer.status_code == 202, answer.text
    assert answer.json()["video"]["name"] == "aSet-Cookie: x=1.mp4"
    expect(anna.upload(query="?name=a%00b.mp4"), 400, "bad_request")


def test_a_name_becomes_the_mp3s(deck, anna):
    conversions = [
        anna.upload(media.clip(5).read_bytes(), "?notify=none&name=" + urllib.parse.quote(name))
        .json()["id"]
        for name in ('a"b%.mp4', "Grüße.mp4", "talk")
    ]
    wanted = [
        'attachment; filename="a_b_.mp3"; filename*=UTF-8\'\'a%22b%25.mp3',
        "attachment; filename=\"Gr__e.mp3\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.mp3",
        'attachment; filename="talk.mp3"',
    ]
    for conversion, header in zip(conversions, wanted):
        deck.wait_for_state(conversion, "done")
        answer = anna.head(f"/v1/conversions/{conversion}/mp3")
        assert answer.headers["Content-Disposition"] == header


def test_an_upload_needs_a_token(deck):
    for path in ("/upload", "/v1/conversions"):
        expect(requests.post(deck.url + path, data=b"x"), 401, "missing_credentials")
        answer = requests.post(
            deck.url + path, data=b"x" * 3_000_000, headers={"Authorization": "Bearer x"}
        )
        expect(answer, 401, "invalid_token")


def test_everything_ends_and_nothing_is_left(deck):
    """After all of the above."""
    wait_for(deck.is_reconciled, 180, "that nothing is due")
    records = deck.records()
    assert {r["state"] for r in records.values()} <= {"done", "failed"}
    assert deck.blobs("video") == set(records)
    assert deck.blobs("mp3") == {r["mp3"]["id"] for r in records.values() if r["state"] == "done"}
    assert all(deck.dead(queue) == [] for queue in ("video", "mp3"))
    assert deck.metric(deck.gateway, "tapedeck_uploads_in_flight") == 0


def test_messages_make_it_quick(tmp_path):
    """Long before anybody looks for what is overdue."""
    slow = {"recovery.lease": "5m", "recovery.look_interval": "5m"}
    deck = Deck(tmp_path)
    try:
        deck.start_both(**slow)
        deck.start("converter", slow)
        deck.start("notifier", slow)
        id = deck.client().upload(media.clip(5).read_bytes()).json()["id"]
        deck.wait_for_state(id, "done", seconds=60)
        wait_for(lambda: deck.mails_about(id), what="the mail")
    finally:
        deck.close()

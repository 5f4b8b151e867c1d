"""MongoDB as a peer: what is refused, and how that is told."""

import pathlib

import pytest

from authority import Authority, Shown
from deck import Deck
from test_commands import FAILED, on, tapedeck, verdicts  # noqa: F401 (on is a fixture)

PASSWORD = "pa55word-of-nobody"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def ask(on, host, port, ca_file, parameters="tls=true"):
    """What doctor says of the records, and what migrate does."""
    options = (
        "--set", "stores.records=mongodb",
        "--set", f"mongodb.uri=mongodb://deck:{PASSWORD}@{host}:{port}/?{parameters}",
        "--set", f"mongodb.ca_file={ca_file}",
        "--set", "mongodb.timeout=2s",
    )
    result = on("doctor", *options)
    assert result.returncode == FAILED
    migrated = on("migrate", *options)
    assert migrated.returncode == FAILED
    verdict, text = verdicts(result)["records"]
    assert verdict == "FAILED", result.stdout
    for output in (result, migrated):
        assert PASSWORD not in output.stdout + output.stderr
    assert migrated.stderr.split("records: ")[1].strip() in text
    assert "tapedeck migrate" not in text
    return text


def test_a_certificate_of_an_unknown_authority_is_refused(on, authority, tmp_path):
    other = Authority(tmp_path, "other")
    with Shown(authority.issue()) as server:
        assert "not signed by one of the authorities (CA)" in ask(
            on, "localhost", server.port, other.file
        )
        # Those of the system do not know it either.
        assert "not signed by one of the authorities (CA)" in ask(on, "localhost", server.port, "")


@pytest.mark.parametrize(
    "asked, named", [("localhost", "db.example.org"), ("127.0.0.1", "127.0.0.9")]
)
def test_a_certificate_for_another_host_is_refused(on, authority, asked, named):
    with Shown(authority.issue(named)) as server:
        assert "is for another host name" in ask(on, asked, server.port, authority.file)


def test_a_certificate_out_of_its_dates_is_refused(on, authority):
    with Shown(authority.issue(from_day=-2, to_day=-1)) as server:
        assert "has expired" in ask(on, "localhost", server.port, authority.file)
    with Shown(authority.issue(from_day=1, to_day=2)) as server:
        assert "is not valid yet" in ask(on, "localhost", server.port, authority.file)


def test_a_server_without_tls_is_not_talked_to(on, authority):
    with Shown() as server:
        assert "does not answer with TLS" in ask(on, "localhost", server.port, authority.file)
        port = server.port
    assert "cannot be connected to" in ask(on, "localhost", port, authority.file)


@pytest.mark.parametrize(
    "uri, words",
    [
        ("mongodb://db.example.org/", "mongodb.tls=off"),
        ("mongodb://localhost,db.example.org:27017/", "db.example.org:27017"),
        ("mongodb://127.example.org/", "mongodb.tls=off"),
        ("mongodb+srv://db.example.org/?tls=false", "mongodb.tls=off"),
        ("mongodb://localhost/?tls=true&tlsInsecure=true", "tlsinsecure"),
        ("mongodb://localhost/?tls=true&tlsAllowInvalidCertificates=true", "mongodb.ca_file"),
        ("mongodb://localhost/?tls=true&tlsAllowInvalidHostnames=true", "mongodb.ca_file"),
        (f"mongodb://deck:{PASSWORD}@x@localhost/?tls=true", "%XX"),
        (f"mongodb://deck:{PASSWORD}/x@localhost/?tls=true", "%XX"),
        (f"mongodb://deck:1234/{PASSWORD}@localhost/?tls=true", "%XX"),
        (f"mongodb://deck:1234?{PASSWORD}@localhost/?tls=true", "%XX"),
        (f"http://deck:{PASSWORD}@localhost/", "mongodb://"),
        ("", "mongodb.uri is not set"),
    ],
)
def test_what_would_not_be_safe_is_refused_before_anybody_is_asked(on, uri, words):
    result = on("migrate", "--set", "stores.records=mongodb", "--set", f"mongodb.uri={uri}")
    assert result.returncode == FAILED
    assert words in result.stderr
    assert PASSWORD not in result.stderr


def test_videos_and_mp3s_have_a_database_each(on):
    result = on(
        "migrate", "--set", "stores.records=mongodb",
        "--set", "mongodb.uri=mongodb://localhost/", "--set", "mongodb.mp3s_database=Videos",
    )
    assert result.returncode == FAILED
    assert "cannot be told apart" in result.stderr


@pytest.mark.parametrize("store, what", [("records", "records"), ("blobs", "videos, MP3s")])
def test_doctor_says_what_travels_in_the_clear(on, store, what):
    options = (
        "--set", f"stores.{store}=mongodb", "--set", "mongodb.timeout=100ms", "--set", "mongodb.tls=off",
    )
    for uri, is_plain in (
        ("mongodb://127.0.0.1:1/", False),
        ("mongodb://127.0.0.1:1,db.invalid:1/?tls=true", False),
        ("mongodb://127.0.0.1:1,db.invalid:1/", True),
    ):
        found = verdicts(on("doctor", *options, "--set", f"mongodb.uri={uri}"))["encryption"]
        expected = f"{what} and a password travel in the clear (mongodb.tls=off)"
        assert (found[0] == "warning" and expected in found[1]) == is_plain, found


def test_a_ca_file_without_a_certificate_is_refused(on, tmp_path):
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    for file in (nothing, tmp_path / "missing.pem"):
        result = on(
            "migrate", "--set", "stores.records=mongodb",
            "--set", "mongodb.uri=mongodb://localhost/?tls=true",
            "--set", f"mongodb.ca_file={file}",
        )
        assert result.returncode == FAILED
        assert f"mongodb.ca_file: {file}" in result.stderr


def test_a_cluster_needs_no_data_folder(tmp_path):
    """Each store is asked, whether or not the folder of the embedded ones is there."""
    servers = (
        "stores.records=mongodb", "stores.blobs=mongodb", "mongodb.uri=mongodb://127.0.0.1:1/",
        f"data.dir={tmp_path / 'missing'}",
    )
    result = tapedeck("doctor", *(word for option in servers for word in ("--set", option)))
    found = verdicts(result)
    assert "127.0.0.1:1" in found["records"][1]
    assert "127.0.0.1:1" in found["blobs"][1]
    assert found["accounts"] == ("-", "see data folder")
    assert "mongodb" not in str(found["data folder"])


def test_each_machine_of_a_cluster_is_asked_for_what_is_its_own(tmp_path):
    """Each has a configuration that names no more than its service needs."""
    def found(service, *options):
        words = (word for option in (*options, f"data.dir={tmp_path / 'missing'}")
                 for word in ("--set", option))
        return verdicts(tapedeck("doctor", service, *words))

    mongodb = ("stores.records=mongodb", "stores.blobs=mongodb", "mongodb.uri=mongodb://127.0.0.1:1/")
    rabbitmq = ("stores.queue=rabbitmq", "rabbitmq.uri=amqp://127.0.0.1:1/")
    smtp = ("stores.mail=smtp", "smtp.uri=smtp://localhost:1")
    mysql = ("stores.users=mysql", "mysql.uri=mysql://127.0.0.1:1/deck")
    both = {"data folder", "disk", "clock", "records", "queue", "encryption"}
    shown = {
        "gateway": (found("gateway", *mongodb, *rabbitmq), both | {"blobs", "keys", "auth"}),
        "converter": (found("converter", *mongodb, *rabbitmq), both | {"blobs", "sandbox"}),
        "notifier": (found("notifier", *mongodb, *rabbitmq, *smtp), both | {"mail"}),
        "auth": (found("auth", *mysql), {"data folder", "disk", "clock", "accounts", "mysql tls",
                                         "mysql login", "mysql host", "keys", "encryption"}),
    }
    for service, (lines, names) in shown.items():
        assert set(lines) == names, service
        assert lines["data folder"] == ("-", "all stores are on servers"), service
    assert "127.0.0.1:5000" in shown["gateway"][0]["auth"][1]  # where auth is unless it is said
    verdict, text = found("notifier", *mongodb, *rabbitmq)["data folder"]
    assert verdict == "FAILED" and "stores.*" in text


def test_keys_outside_the_data_folder_are_looked_at(tmp_path):
    (tmp_path / "gateway.key").write_text("a-secret-that-is-long-enough\n")
    (tmp_path / "gateway.key").chmod(0o644)
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "a.key.json").write_text("no key")
    missing = f"data.dir={tmp_path / 'missing'}"
    secret = ("--set", f"auth.gateway_key_file={tmp_path / 'gateway.key'}", "--set", missing)
    keys = ("--set", f"auth.keys_dir={tmp_path / 'keys'}", "--set", missing)
    for arguments, words in (
        (("doctor", *secret), "mode is 644"), (("doctor", *keys), "a.key.json"),
        (("doctor", "gateway", *secret), "mode is 644"), (("doctor", "auth", *keys), "a.key.json"),
    ):
        verdict, text = verdicts(tapedeck(*arguments))["keys"]
        assert verdict == "FAILED" and words in text, arguments


def test_a_killed_process_leaves_no_counters_of_the_driver(tmp_path):
    deck = Deck(tmp_path, accounts=())
    try:
        auth = deck.start_auth()
        auth.kill()
        assert not pathlib.Path(f"/dev/shm/mongoc-{auth.process.pid}").exists()
    finally:
        deck.close()

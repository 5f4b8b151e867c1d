"""TLS to the broker: what is wrong with a certificate is said, by services and by `doctor`."""

import pytest

from authority import Authority, Shown
from broker import Handle


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def refusal(**options):
    handle = Handle("video", {"stores.queue": "rabbitmq", **options})
    answer = handle.do("check")
    handle.close()
    assert not answer["ok"], answer
    return answer["error"]


def shown(authority, certificate, ca_file=None):
    with Shown(certificate) as server:
        return refusal(
            **{
                "rabbitmq.uri": f"amqps://tapedeck:geheim@localhost:{server.port}/",
                "rabbitmq.ca_file": ca_file or authority.file,
            }
        )


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_verified_broker_is_talked_to(host, name):
    uri = host.uri().replace("amqp:", "amqps:").replace("localhost", name)
    uri = uri.replace(
        str(host.broker.port("RABBITMQ_PLAIN_URI")), str(host.broker.port("TEST_RABBITMQ_URI"))
    )
    options = {"rabbitmq.uri": uri, "rabbitmq.ca_file": host.broker.addresses["TEST_CA_FILE"]}
    handle = host.handle(**options)
    handle.must("publish 2000 " + "x" * 4000)
    assert handle.must("take 0")["size"] == 4000
    handle.must("ack")
    handle.begin("take 5000")
    host.put("video", b"y" * 900_000)  # more than one record of TLS
    assert handle.end()["size"] == 900_000


def test_another_authority_is_refused_and_named(authority, tmp_path):
    other = Authority(tmp_path, "other")
    assert "authorities (CA)" in shown(authority, other.issue())
    assert "authorities (CA)" in shown(authority, authority.issue(), ca_file=other.file)


def test_another_host_name_is_refused_and_named(authority):
    assert "another host name" in shown(authority, authority.issue("other.example.org"))
    assert "another host name" in shown(authority, authority.issue("127.0.0.1"))


def test_an_expired_certificate_is_refused_and_named(authority):
    assert "has expired" in shown(authority, authority.issue(from_day=-3, to_day=-1))
    assert "not valid yet" in shown(authority, authority.issue(from_day=1, to_day=3))


def test_a_server_without_tls_gets_no_password(host):
    uri = host.uri().replace("amqp:", "amqps:")
    error = refusal(
        **{"rabbitmq.uri": uri, "rabbitmq.ca_file": host.broker.addresses["TEST_CA_FILE"]}
    )
    assert "does not speak TLS" in error


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"rabbitmq.uri": ""}, "rabbitmq.uri: not set"),
        ({"rabbitmq.uri": "amqp://u:geheim@192.0.2.1/"}, "rabbitmq.tls=off"),
        ({"rabbitmq.uri": "http://u:geheim@localhost/"}, "amqps://"),
        ({"rabbitmq.uri": "amqp://localhost/"}, "user"),
        ({"rabbitmq.uri": "amqp://u:geheim@localhost:x/"}, "port"),
        ({"rabbitmq.uri": "amqps://u:geheim@localhost/?heartbeat=1"}, "%3F"),
        (
            {"rabbitmq.uri": "amqps://u:geheim@localhost/", "rabbitmq.ca_file": "/nowhere"},
            "rabbitmq.ca_file: /nowhere",
        ),
    ],
)
def test_what_is_wrong_with_the_options_is_said(options, expected):
    handle = Handle("video", {"stores.queue": "rabbitmq", **options})
    _, error = handle.process.communicate()
    assert handle.process.returncode == 1
    assert expected in error and "geheim" not in error


def test_plain_to_another_host_is_possible_where_it_is_wanted():
    error = refusal(
        **{"rabbitmq.uri": "amqp://u:geheim@127.0.0.2.nip.invalid/", "rabbitmq.tls": "off"}
    )
    assert "nip.invalid" in error and "geheim" not in error


def test_doctor_names_what_is_wrong(host, authority, tmp_path):
    def queue_line(**options):
        output = host.command("doctor", **{"data.dir": tmp_path / "data", **options}).stdout
        return next(line for line in output.splitlines() if " queue " in line)

    assert queue_line().startswith("ok")
    with Shown(authority.issue("other.example.org")) as server:
        line = queue_line(
            **{
                "rabbitmq.uri": f"amqps://tapedeck:geheim@localhost:{server.port}/",
                "rabbitmq.ca_file": authority.file,
            }
        )
    assert line.startswith("FAILED") and "another host name" in line
    host.channel.queue_delete("mp3.dead")
    line = queue_line()
    assert line.startswith("FAILED") and "queue mp3.dead is missing" in line

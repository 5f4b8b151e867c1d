"""The services as a cluster: replicas on real servers, which fail like real ones."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import media
from cluster import SERVICES, Cluster
from deck import Client
from workshop import wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster") / "all")
    try:
        yield made.up()
    finally:
        made.down()
        assert not made.processes()
        assert not made.folder.exists()


def upload(client, path):
    answer = client.upload(path.read_bytes())
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def test_what_one_gateway_takes_the_other_shows_and_sends(cluster):
    here, there = cluster.client(0), cluster.client(1)
    conversion = upload(here, media.clip())
    ended = cluster.wait_for_end(there, conversion)
    assert ended["state"] == "done", ended
    mp3 = there.get(f"/v1/conversions/{conversion}/mp3")
    assert mp3.status_code == 200
    assert mp3.headers["Content-Type"] == "audio/mpeg"
    assert len(mp3.content) == ended["mp3"]["size_bytes"]
    assert there.get("/v1/conversions").json()["conversions"][0]["id"] == conversion

    mail = cluster.wait_for_mail(conversion)
    assert mail["To"] == cluster.account[0]
    text = mail.get_body(("plain",)).get_content()
    assert ended["mp3"]["id"] in text
    assert f"{cluster.gateways[0]}/c/{conversion}" in text
    wait_for(
        lambda: there.get(f"/v1/conversions/{conversion}").json()["notification"]["state"] == "sent",
        what="that the mail is noted",
    )


def test_a_token_is_good_at_both_gateways(cluster):
    token = cluster.client(0).token
    for gateway in cluster.gateways:
        assert Client(gateway, token).get("/v1/conversions").status_code == 200
        assert Client(gateway, token[:-4] + "AAAA").get("/v1/conversions").status_code == 401


def test_a_conversion_is_cancelled_by_the_other_gateway(cluster):
    here, there = cluster.client(0), cluster.client(1)
    conversion = upload(here, media.long_clip(60))
    assert there.post(f"/v1/conversions/{conversion}/cancel").status_code in (200, 202)
    assert cluster.wait_for_end(here, conversion)["state"] == "cancelled"


def test_the_other_converter_takes_over_from_a_killed_one(cluster):
    client = cluster.client()
    conversion = upload(client, media.long_clip(60))
    [name] = wait_for(cluster.busy_converters, what="a worker at work")
    cluster.kill(name)
    try:
        ended = cluster.wait_for_end(client, conversion, seconds=300)
    finally:
        cluster.up()
    assert (ended["state"], ended["attempts"]) == ("done", 2)
    cluster.wait_for_mail(conversion)


@pytest.mark.parametrize("server", ["mongodb", "rabbitmq", "mariadb", "smtp"])
def test_a_server_that_dies_costs_no_conversion(cluster, server):
    """Neither what is under way nor what comes next, and no service has to be started again."""
    client = cluster.client()
    before = cluster.pids()
    assert set(before) == set(SERVICES)
    under_way = upload(client, media.long_clip(30))
    cluster.kill_server(server)
    cluster.up()
    next_one = wait_for(
        lambda: (lambda answer: answer.status_code == 202 and answer.json()["id"])(
            cluster.client(1).upload(media.clip().read_bytes())
        ),
        what="an upload",
    )
    for conversion in (under_way, next_one):
        assert cluster.wait_for_end(client, conversion, seconds=240)["state"] == "done"
        cluster.wait_for_mail(conversion)
    assert cluster.pids() == before


def test_records_that_stand_still_are_said_so_and_cost_no_conversion(cluster):
    """SIGSTOP: connections stand, and nothing answers; then all that was asked happens late."""
    client = cluster.client()
    before = cluster.pids()
    under_way = upload(client, media.long_clip(30))
    wait_for(cluster.busy_converters, what="a worker at work")
    cluster.signal_server("mongodb", signal.SIGSTOP)
    try:
        begun = time.monotonic()
        for gateway in (0, 1):
            answer = cluster.client(gateway).upload(media.clip().read_bytes())
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert "Retry-After" in answer.headers
        assert time.monotonic() - begun < 30
    finally:
        cluster.signal_server("mongodb", signal.SIGCONT)
    next_one = wait_for(
        lambda: (lambda answer: answer.status_code == 202 and answer.json()["id"])(
            client.upload(media.clip().read_bytes())
        ),
        what="an upload",
    )
    for conversion in (under_way, next_one):
        ended = cluster.wait_for_end(client, conversion, seconds=240)
        assert ended["state"] == "done", ended
        cluster.wait_for_mail(conversion)
    assert cluster.pids() == before


def test_one_key_at_both_gateways_at_the_same_moment_makes_one_conversion(cluster):
    clients = [cluster.client(0), cluster.client(1)]
    video = media.clip().read_bytes()

    def send(number):
        answer = None
        for _ in range(20):  # as clients do: on a busy machine somebody may lose too often
            answer = clients[number % 2].upload(video, headers={"Idempotency-Key": "at-once"})
            if answer.status_code != 503:
                break
            time.sleep(int(answer.headers["Retry-After"]))
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} <= {202, 409}, [a.text for a in answers]
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1


def test_status_names_what_does_not_run(cluster):
    wait_for(lambda: cluster.run("status").returncode == 0, what="that all is ready")
    whole = cluster.run("status")
    assert whole.returncode == 0, whole.stdout
    assert "gateway-2 is ready" in whole.stdout and "mongodb is ready" in whole.stdout
    cluster.kill("gateway-2")
    cluster.kill_server("smtp")
    broken = cluster.run("status")
    assert broken.returncode == 1
    assert "gateway-2 does not run" in broken.stdout and "smtp does not run" in broken.stdout
    cluster.up()
    wait_for(lambda: cluster.run("status").returncode == 0, what="that all is ready again")

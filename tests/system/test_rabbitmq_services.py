"""Converter and notifier with their messages on a real broker, beside services of others."""

import json
import os
import signal
import time

import media
from workshop import wait_for

HEARTBEAT_S = 6
# So that what happens soon happens by a message.
PATIENT = {"recovery.look_interval": "5m", "recovery.lease": "2m"}
NAMELESS = {"mp3_fid": None, "username": "a@example.org"}


def start(workshop, host, name, **options):
    return workshop.start(name, {**PATIENT, **host.options(), **options})


def body_of(conversion, **more):
    return json.dumps({"video_fid": conversion, "conversion_id": conversion, **NAMELESS, **more})


def test_a_conversion_goes_from_message_to_message(workshop, host):
    converter = start(workshop, host, "converter")
    conversion = workshop.upload(media.clip(5), message="off")
    host.put("video", body_of(conversion).encode())
    record = workshop.wait_for_state(conversion, "done", seconds=90)
    # A consumer that only knows what the original's does.
    properties, body = host.get("mp3")
    message = json.loads(body)
    assert message["video_fid"] == conversion
    assert message["mp3_fid"] == record["mp3"]["id"]
    assert message["username"] == "anna@example.org"
    assert properties.message_id == conversion and properties.delivery_mode == 2
    assert host.length("video") == 0
    host.put("mp3", body)
    start(workshop, host, "notifier")
    wait_for(lambda: workshop.mails_about(conversion), what="the mail")
    assert converter.stop() == 0


def test_what_nobody_can_read_is_a_dead_letter_and_stops_nothing(workshop, host):
    start(workshop, host, "converter")
    bodies = {
        b"hello": "JSON",
        b'{"video_fid":7,"username":"a@example.org"}': "video_fid",
        b"[]": "object",
        b"\xff\xfe": "JSON",
        b"": "JSON",
        json.dumps({"video_fid": "66f000000000000000000001", **NAMELESS}).encode(): "original",
        b"x" * (1 << 20): "1048576 bytes",
        b"x" * (5 << 20): "1048576 bytes",
    }
    for body in bodies:
        host.put("video", body)
    host.put("video", body_of("66f000000000000000000001").encode())  # gone: no dead letter
    conversion = workshop.upload(media.clip(5), message="off")
    host.put("video", body_of(conversion).encode())
    workshop.wait_for_state(conversion, "done", seconds=90)
    assert host.length("video") == 0
    letters = host.handle().must("dead")["letters"]
    assert len(letters) == len(bodies)
    for letter, (body, reason) in zip(letters, bodies.items()):
        assert reason in letter["reason"], (letter, body[:50])
        assert letter["size"] == min(len(body), 1 << 20)


def test_a_dead_letter_that_cannot_be_written_is_not_tried_without_a_pause(workshop, host):
    host.channel.queue_delete("video")
    host.channel.queue_declare("video", durable=True)  # a classic one: it counts no returns
    host.put("video", b"hello")
    may = {"configure": "^$", "write": "^$", "read": ".*"}
    host.broker.api("PUT", "users/reader", json={"password": "reader", "tags": ""})
    host.broker.api("PUT", f"permissions/{host.name}/reader", json=may)
    converter = start(workshop, host, "converter", **{"rabbitmq.uri": host.uri("reader:reader")})
    wait_for(lambda: "message not buried" in converter.log(), what="a letter that is refused")
    time.sleep(3)
    assert converter.log().count("message not buried") <= 5
    host.broker.api(
        "PUT", f"permissions/{host.name}/reader", json={**may, "write": "^amq\\.default$"}
    )
    wait_for(lambda: "dead letter" in converter.log(), what="the letter")
    assert len(host.handle().must("dead")["letters"]) == 1
    assert host.length("video") == 0


def test_a_video_of_an_original_gateway_is_converted(workshop, host):
    start(workshop, host, "converter", **{"messages.original": "on"})
    video = workshop.seed("blob", "video", media.clip(5)).strip()
    host.put_original("video", video_fid=video, **NAMELESS)
    _, body = host.get("mp3")
    message = json.loads(body)
    assert message["video_fid"] == video and message["username"] == NAMELESS["username"]
    assert message["mp3_fid"] in workshop.blobs("mp3")


def test_an_mp3_of_an_original_converter_is_mailed(workshop, host):
    start(workshop, host, "notifier", **{"messages.original": "on"})
    mp3 = workshop.seed("blob", "mp3", media.clip(5)).strip()
    host.put_original(
        "mp3", video_fid="66f000000000000000000001", mp3_fid=mp3, username="ben@example.org"
    )
    [mail] = wait_for(workshop.mails, what="the mail")
    assert mail["To"] == "ben@example.org" and mp3 in mail.get_body(("plain",)).get_content()


def test_a_long_job_outlasts_heartbeats_and_the_consumers_time(workshop, host):
    """The broker's connection is given back for it: nobody would answer."""
    host.broker.evaluate(
        "application:set_env(rabbit, channel_tick_interval, 500),"
        "application:set_env(rabbit, consumer_timeout, 1000)."
    )
    converter = start(workshop, host, "converter")
    conversion = workshop.upload(media.clip(5), message="off")
    next_one = workshop.upload(media.clip(5), message="off")
    log_size = len(host.broker.log())
    wait_for(converter.worker_pids, what="a warm worker")
    for worker in converter.worker_pids():
        os.kill(worker, signal.SIGSTOP)
    host.put("video", body_of(conversion).encode())
    workshop.wait_for_state(conversion, "converting")
    time.sleep(10 + HEARTBEAT_S)
    assert "tapedeck video" not in host.clients().values()
    for worker in converter.worker_pids():
        os.kill(worker, signal.SIGCONT)
    assert workshop.wait_for_state(conversion, "done")["claim"] == 1
    host.put("video", body_of(next_one).encode())
    workshop.wait_for_state(next_one, "done", seconds=90)
    host.broker.evaluate("application:set_env(rabbit, consumer_timeout, 1800000).")
    assert host.length("video") == 0
    log = host.broker.log()[log_size:]
    assert "consumer ack timed out" not in log
    assert not [line for line in log.splitlines() if "missed heartbeats" in line]


def test_a_broker_that_is_down_costs_time_only(workshop, host):
    options = {"recovery.look_interval": "300ms", "recovery.lease": "1500ms"}
    converter = start(workshop, host, "converter", **options)
    start(workshop, host, "notifier", **options)
    wait_for(lambda: "listening" in converter.log(), what="the converter")
    host.broker.kill()
    conversions = [workshop.upload(media.clip(5), message="off") for _ in range(3)]
    for conversion in conversions:
        workshop.wait_for_state(conversion, "done")
        wait_for(lambda: workshop.mails_about(conversion), what="the mail")  # noqa: B023
    assert "cannot be reached" in converter.log()
    host.broker.start()
    host.connect()
    wait_for(lambda: "the queue can be reached again" in converter.log(), what="the broker")
    conversion = workshop.upload(media.clip(5), message="off")
    host.put("video", body_of(conversion).encode())
    workshop.wait_for_state(conversion, "done")
    wait_for(lambda: workshop.mails_about(conversion), what="the mail")

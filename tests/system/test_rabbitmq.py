"""The queues on a real broker: its faults, and others' clients beside ours."""

import json
import time

from workshop import wait_for

HEARTBEAT_S = 2
VIDEO = {"video_fid": "66f000000000000000000001", "mp3_fid": None, "username": "a@example.org"}


# ---- Faults ----


def test_messages_outlive_a_killed_broker(host):
    writer, taker = host.handle(), host.handle()
    writer.must("publish 20000 before")
    taker.must("take 0")  # held, and not acked
    host.broker.kill()
    for handle in (writer, taker):
        refused = handle.do("take 30000")
        assert not refused["ok"] and refused["ms"] < 10000, refused
    host.broker.start()
    assert taker.must("take 30000")["body"] == "before"
    taker.must("ack")
    writer.must("publish 20000 after")
    assert taker.must("take 30000")["body"] == "after"
    taker.must("ack")


def test_a_broker_that_restarts_costs_one_refusal_at_most(host):
    handle = host.handle()
    handle.must("publish 20000 one")
    host.broker.kill()
    host.broker.start()
    assert handle.must("take 0")["body"] == "one"
    assert not handle.do("check")["error"]


def test_a_frozen_broker_is_not_waited_for(host):
    writer, taker, fresh = host.handle(), host.handle(), host.handle()
    writer.must("publish 20000 first")
    assert taker.must("take 0")["body"] == "first"
    taker.must("ack")
    with host.broker.frozen():
        answer = writer.do("publish 1000 second")
        assert not answer["ok"] and 900 <= answer["ms"] < 5000, answer
        assert "no confirm" in answer["error"]
        for handle in (writer, taker, fresh):
            handle.begin("take 0")
        fresh.begin("take 0")  # of the same moment as the one before: a fifth of a second later it tries
        for handle in (writer, taker, fresh):
            answer = handle.end()
            assert not answer["ok"] and answer["ms"] < 8000, answer
        # While it is too early to try again, at once.
        assert fresh.end()["ms"] < 1000
    wait_for(lambda: fresh.do("check")["ok"], what="the broker's answer")
    wait_for(lambda: writer.do("publish 20000 third")["ok"], what="a confirm")
    bodies = set()
    while "body" in (answer := wait_for(lambda: (lambda a: a if a["ok"] else None)(
            taker.do("take 500")))):
        bodies.add(answer["body"])
        taker.must("ack")
    assert bodies >= {"third"}  # the second may have landed late


def clients_while_waiting(host, taker, seconds=0):
    """Nobody answers heartbeats between calls, and to list connections takes its time."""
    begun = time.monotonic()
    taker.begin("take 60000")
    found = host.clients()
    time.sleep(max(0, begun + seconds - time.monotonic()))
    host.put("video", b"enough")
    assert taker.end()["body"] == "enough"
    return found


def test_waiting_and_holding_answer_heartbeats(host):
    missed = host.broker.log().count("missed heartbeats")
    taker = host.handle()
    before = clients_while_waiting(host, taker, 4 * HEARTBEAT_S)
    assert len(before) == 1
    taker.hold(4 * HEARTBEAT_S)
    taker.must("ack")
    assert clients_while_waiting(host, taker) == before
    taker.must("ack")
    assert host.length("video") == 0
    assert "body" not in taker.must("take 0")
    assert host.broker.log().count("missed heartbeats") == missed


def test_who_holds_a_message_keeps_no_other(host):
    """Not even of those that come in the moment in which the consumer is cancelled."""
    first, second = host.handle(), host.handle()
    second.must("check")
    first.begin("take 60000")
    time.sleep(0.5)  # until it waits
    with host.connection.channel() as channel:  # which waits for no confirms
        for number in range(50):
            channel.basic_publish("", "video", str(number).encode())
    taken = [first.end()["body"]]
    while len(taken) < 50 and "body" in (answer := second.must("take 30000")):
        taken.append(answer["body"])
        second.must("ack")
    assert sorted(map(int, taken)) == list(range(50))


def test_an_idle_handle_publishes_at_once(host):
    handle = host.handle()
    handle.must("publish 20000 one")
    time.sleep(4 * HEARTBEAT_S)  # the broker has closed the connection by now
    assert handle.must("publish 20000 two")["ms"] < 8000
    assert host.length("video") == 2


def test_a_message_that_was_held_too_long_costs_nothing(host):
    """The broker closes the channel of who does not ack within its consumer_timeout."""
    host.broker.evaluate(
        "application:set_env(rabbit, channel_tick_interval, 500),"
        "application:set_env(rabbit, consumer_timeout, 1000)."
    )
    try:
        taker, before = host.handle(), host.broker.log().count("timed out")
        host.put("video", b"slow")
        assert taker.must("take 30000")["body"] == "slow"
        wait_for(
            lambda: taker.hold(1) or host.broker.log().count("timed out") > before,
            what="the end of the broker's patience",
        )
        refused = taker.do("ack")
        assert not refused["ok"] and "comes back" in refused["error"], refused
    finally:
        host.broker.evaluate("application:set_env(rabbit, consumer_timeout, 1800000).")
    assert taker.must("take 30000")["body"] == "slow"
    taker.must("ack")
    assert host.length("video") == 0


def publish_past_an_end(writer, body):
    """A broker that is busy refuses what comes while it still sees the end of the old queue."""
    wait_for(lambda: writer.do(f"publish 20000 {body}")["ok"], what="a confirm")


def test_a_queue_that_is_deleted_is_made_again(host):
    writer, taker = host.handle(), host.handle()
    taker.begin("take 60000")
    time.sleep(0.5)  # until it waits
    host.channel.queue_delete("video")
    publish_past_an_end(writer, "one")
    assert taker.end()["body"] == "one"
    taker.must("ack")
    host.channel.queue_delete("video")
    host.channel.queue_delete("video.dead")
    publish_past_an_end(writer, "two")
    assert taker.must("take 0")["body"] == "two"
    host.channel.queue_delete("video.dead")
    taker.must("bury no good")
    assert [letter["reason"] for letter in taker.must("dead")["letters"]] == ["no good"]


def test_an_alarm_of_the_broker_stops_writers_and_nobody_else(host):
    writer, taker = host.handle(), host.handle()
    writer.must("publish 20000 before")
    host.broker.run("ctl", "set_vm_memory_high_watermark", "0.00001")
    try:
        blocked = wait_for(
            lambda: (lambda a: a if "takes no messages" in a["error"] else None)(
                writer.do("publish 2000 during")
            ),
            what="the alarm",
        )
        assert "memory" in blocked["error"]
        assert writer.do("publish 20000 again")["ms"] < 5000
        assert taker.must("take 0")["body"] == "before"
        taker.must("ack")
    finally:
        host.broker.run("ctl", "set_vm_memory_high_watermark", "0.4")
    wait_for(lambda: writer.do("publish 20000 after")["ok"], what="the end of the alarm")


def test_a_connection_that_an_operator_closes_costs_nothing(host):
    handle = host.handle()
    handle.must("publish 20000 one")
    host.broker.run("ctl", "close_all_connections", "--vhost", host.name, "maintenance")
    host.connect()
    handle.must("publish 20000 two")
    assert host.length("video") == 2
    handle.begin("take 30000")
    assert handle.end()["body"] == "one"


def test_a_full_queue_refuses(host):
    host.channel.queue_delete("mp3")
    host.channel.queue_declare(
        "mp3",
        durable=True,
        arguments={"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"},
    )
    handle = host.handle("mp3")
    answers = [handle.do("publish 2000 more") for _ in range(10)]
    assert answers[0]["ok"] and not answers[-1]["ok"]
    assert "full" in answers[-1]["error"]


# ---- Who may ----


def test_a_login_that_is_refused_is_named(host, broker):
    wrong = host.handle(**{"rabbitmq.uri": host.uri(login="tapedeck:secret%20word")})
    answer = wrong.do("check")
    assert not answer["ok"] and "ACCESS_REFUSED" in answer["error"], answer
    assert "secret" not in answer["error"]
    nowhere = host.handle(**{"rabbitmq.uri": host.uri().replace(host.name, "nowhere")})
    answer = nowhere.do("check")
    assert not answer["ok"] and "nowhere" in answer["error"], answer


def test_an_account_that_may_only_use_the_queues_is_enough(host, broker):
    broker.api("PUT", "users/service", json={"password": "service", "tags": ""})
    broker.api(
        "PUT",
        f"permissions/{host.name}/service",
        json={"configure": "^$", "write": "^amq\\.default$", "read": "^(video|mp3)(\\.dead)?$"},
    )
    handle = host.handle(**{"rabbitmq.uri": host.uri(login="service:service")})
    handle.must("check")
    handle.must("publish 20000 one")
    assert handle.must("take 0")["body"] == "one"
    handle.must("bury no good")
    assert len(handle.must("dead")["letters"]) == 1
    host.channel.queue_delete("video")
    answer = handle.do("take 0")
    assert not answer["ok"] and "tapedeck migrate" in answer["error"], answer
    assert "tapedeck migrate" in handle.do("check")["error"]


def test_an_account_that_may_only_make_the_queues_is_enough_to_migrate(host, broker, tmp_path):
    for name in ("video", "mp3", "video.dead", "mp3.dead"):
        host.channel.queue_delete(name)
    ours = "^(video|mp3)(\\.dead)?$"
    broker.api("PUT", "users/migration", json={"password": "migration", "tags": ""})
    broker.api(
        "PUT",
        f"permissions/{host.name}/migration",
        json={"configure": ours, "write": "^amq\\.default$", "read": ours},
    )
    host.migrate(tmp_path / "migrated", **{"rabbitmq.uri": host.uri(login="migration:migration")})
    assert host.length("video") == host.length("mp3.dead") == 0


# ---- Others' clients ----


def test_our_messages_are_read_by_others(host):
    host.handle("mp3").must("publish 20000 " + json.dumps(VIDEO))
    properties, body = host.get("mp3")
    assert json.loads(body) == VIDEO
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/json"
    assert properties.message_id == "66f0aabbccddeeff00112233"
    assert properties.headers["traceparent"].startswith("00-")


def test_messages_of_others_are_taken_whatever_they_carry(host):
    taker = host.handle()
    host.put_original("video", **VIDEO)
    assert json.loads(taker.must("take 30000")["body"]) == VIDEO
    taker.must("ack")
    host.put("video", b"", message_id="m" * 200, headers={"traceparent": 7, "x-delivery-count": "a"})
    answer = taker.must("take 30000")
    assert (answer["body"], answer["message_id"], answer["traceparent"]) == ("", "m" * 64, "")
    taker.must("ack")
    nested = {"deep": {"er": [1, {"est": None}]}, "traceparent": "00-\x1b[31m"}
    host.put("video", b"x" * (3 << 20), headers=nested, priority=9, user_id="tapedeck")
    answer = taker.must("take 30000")
    assert answer["size"] == 1 << 20  # cut
    assert answer["traceparent"] == "00-[31m"
    taker.must("bury too long")
    letter = taker.must("dead")["letters"][0]
    assert (letter["size"], letter["reason"]) == (1 << 20, "too long")
    properties, body = host.get("video.dead")
    assert len(body) == 1 << 20 and properties.headers["reason"] == "too long"


def test_queues_of_an_operator_are_used_as_they_are(host, tmp_path):
    for name in ("video", "mp3"):
        host.channel.queue_delete(name)
        host.channel.queue_declare(name, durable=True)  # a classic one
    migrated = host.migrate(tmp_path / "migrated")
    assert "other arguments" in migrated.stderr and "queue=video" in migrated.stderr
    handle = host.handle()
    handle.must("check")
    handle.must("check")
    handle.must("publish 20000 one")
    assert handle.must("take 0")["body"] == "one"
    handle.must("reopen")  # without an ack
    assert handle.must("take 30000")["body"] == "one"
    handle.must("bury no good")
    assert len(handle.must("dead")["letters"]) == 1
    assert handle.close().count("other arguments") == 1


def test_migrate_makes_quorum_queues_and_can_be_repeated(host, tmp_path):
    assert "queue" not in host.migrate(tmp_path / "migrated").stderr
    found = {
        queue["name"]: queue["arguments"]
        for queue in host.broker.api("GET", f"queues/{host.name}")
    }
    assert set(found) == {"video", "mp3", "video.dead", "mp3.dead"}
    assert all(arguments["x-queue-type"] == "quorum" for arguments in found.values())
    assert found["mp3"]["x-dead-letter-routing-key"] == "mp3.dead"
    assert found["mp3"]["x-delivery-limit"] == 20
    assert "x-delivery-limit" not in found["mp3.dead"]


# ---- Dead letters ----


def test_dead_letters_stay_however_often_they_are_looked_at(host):
    handle = host.handle()
    for number in range(5):
        handle.must(f"publish 20000 letter {number}")
        handle.must("take 0")
        handle.must(f"bury reason {number}")
    first = handle.must("dead")["letters"]
    assert [letter["reason"] for letter in first] == [f"reason {n}" for n in range(5)]
    for _ in range(25):
        assert handle.must("dead")["letters"] == first


def test_the_dead_letters_of_the_broker_itself_are_listed(host):
    """A consumer of somebody else's that rejects: the queue's own dead-lettering."""
    host.put("video", b"rejected")
    method, _, _ = host.channel.basic_get("video")
    host.channel.basic_reject(method.delivery_tag, requeue=False)
    handle = host.handle()
    letters = wait_for(lambda: handle.must("dead")["letters"], what="the letter")
    assert letters[0]["reason"] == "by the broker: rejected"
    assert abs(letters[0]["buried_at_ms"] / 1000 - time.time()) < 60


def test_queue_dead_lists_and_drops(host, tmp_path):
    handle = host.handle()
    for body in ("one", "two \x1b[31m", "three"):
        host.put("video", body.encode())
        assert handle.must("take 30000")["body"] == body
        handle.must(f"bury bad {body.split()[0]}")
    listed = host.command("queue", "dead", "list").stdout
    lines = [line.split() for line in listed.splitlines() if "bad" in line]
    assert [line[-1] for line in lines] == ["one", "two", "three"]
    assert "\x1b" not in listed and "two .[31m" in listed
    assert host.command("queue", "dead", "drop", lines[1][1]).stdout == "dropped 1\n"
    assert host.command("queue", "dead", "drop", lines[1][1]).returncode == 1
    assert "bad two" not in host.command("queue", "dead", "list").stdout
    assert host.command("queue", "dead", "drop", "--all").stdout == "dropped 2\n"
    assert host.command("queue", "dead", "list").stdout == "There are no dead letters.\n"

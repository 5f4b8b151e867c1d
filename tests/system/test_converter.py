"""The converter's promises, on its stores: whatever happens to it, its workers and its messages."""

import os
import resource
import shutil
import signal
import sqlite3
import threading
import time

import pytest

import media
from workshop import FAULTS, RELEASE, Workshop, kill_after_each_step, wait_for


def wait_for_worker(converter, workshop, conversion):
    """The worker that works: the conversion shows progress."""

    def working():
        record = workshop.record(conversion)
        return record["state"] == "converting" and record["progress"] > 0

    wait_for(working, what="progress")
    return wait_for(converter.worker_pids, what="a worker")[0]


def test_a_video_becomes_an_mp3_and_a_message(workshop, tmp_path):
    converter = workshop.start("converter")
    conversion = workshop.upload(media.clip(5), name="talk.mp4")
    record = workshop.wait_for_state(conversion, "done")
    assert record["claim"] == 1 and record["attempts"] == 0 and record["lost"] == 0
    assert abs(record["mp3"]["duration"] - 5) < 0.2
    assert abs(record["video"]["duration"] - 5) < 0.2
    workshop.seed("fetch", "mp3", record["mp3"]["id"], tmp_path / "out.mp3")
    assert (tmp_path / "out.mp3").stat().st_size == record["mp3"]["size"]
    assert abs(media.seconds_of(tmp_path / "out.mp3") - 5) < 0.2
    wait_for(lambda: workshop.length("mp3") == 1, what="the message `mp3`")
    assert workshop.length("video") == 0
    # The mail names the MP3, not the conversion.
    named = f"conversion={conversion} mp3={record['mp3']['id']}"
    wait_for(lambda: named in converter.log(), what="its line in the log")
    workshop.check_promises([conversion], mails=False)


def test_a_lost_message_costs_time_only(workshop):
    workshop.start("converter")
    conversion = workshop.upload(media.clip(5), message="off")
    workshop.wait_for_state(conversion, "done")


def test_doubled_and_late_messages_change_nothing(workshop):
    workshop.start("converter")
    conversion = workshop.upload(media.clip(5))
    for _ in range(3):
        workshop.seed("message", "video", conversion)
    record = workshop.wait_for_state(conversion, "done")
    workshop.seed("message", "video", conversion)
    wait_for(lambda: workshop.length("video") == 0, what="an empty queue")
    assert workshop.record(conversion)["mp3"] == record["mp3"]
    assert workshop.record(conversion)["claim"] == 1
    workshop.check_promises([conversion], mails=False)


def test_how_long_a_video_is_shows_however_short_it_is(workshop):
    workshop.start("converter")
    conversion = workshop.upload(media.clip(1))
    record = workshop.wait_for_state(conversion, "done")
    assert abs(record["video"]["duration"] - 1) < 0.2


def publish_anything(workshop, body):
    """As no service of ours would: past the checks of the interface."""
    with sqlite3.connect(workshop.data / "queue.db", timeout=30) as connection:
        connection.execute(
            "INSERT INTO messages (queue, taker, deliveries, message_id, traceparent, body)"
            " VALUES ('video', 0, 0, '', '', ?)",
            [body.encode()],
        )
    connection.close()


def test_what_nobody_can_read_is_a_dead_letter(workshop):
    workshop.start("converter")
    bodies = [
        "hello",
        "{}",
        '{"video_fid":"nonsense","username":"a@example.org"}',
        '{"video_fid":"66f000000000000000000001","username":"a@example.org"}',
        " " * (1 << 20),
    ]
    for body in bodies:
        publish_anything(workshop, body)
    gone = '{"video_fid":"66f000000000000000000001","conversion_id":"66f000000000000000000001"}'
    workshop.seed("publish", "video", gone)
    letters = wait_for(
        lambda: (lambda found: found if len(found) == len(bodies) else None)(workshop.dead("video")),
        what="the dead letters",
    )
    assert [letter.split("\t")[1] for letter in letters] == bodies
    assert all(letter.split("\t")[0] for letter in letters)
    wait_for(lambda: workshop.length("video") == 0, what="an empty queue")
    assert len(workshop.dead("video")) == len(bodies)


def fill(workshop, statement, row, count):
    connection = sqlite3.connect(workshop.data / "queue.db", timeout=30)
    with connection:
        connection.executemany(statement, [row] * count)
    connection.close()


def test_a_full_queue_takes_no_more(workshop):
    fill(
        workshop,
        "INSERT INTO messages (queue, taker, deliveries, message_id, traceparent, body)"
        " VALUES ('video', 0, 0, '', '', ?)",
        [b"{}"],
        19_999,
    )
    workshop.seed("publish", "video", "{}")
    assert workshop.length("video") == 20_000
    workshop.seed("publish", "video", "{}", check=False)
    assert workshop.length("video") == 20_000
    workshop.seed("publish", "mp3", "{}")  # another queue has room of its own


def test_of_too_many_dead_letters_the_oldest_give_way(workshop):
    fill(
        workshop,
        "INSERT INTO dead (queue, reason, buried_at, message_id, traceparent, body)"
        " VALUES ('video', 'old', 0, '', '', ?)",
        [b"{}"],
        10_000,
    )
    workshop.seed("publish", "video", "hello")
    workshop.start("converter")
    wait_for(lambda: workshop.length("video") == 0, what="an empty queue")
    connection = sqlite3.connect(workshop.data / "queue.db", timeout=30)
    query = "SELECT reason = 'old', count(*) FROM dead GROUP BY 1 ORDER BY 1"
    wait_for(lambda: len(connection.execute(query).fetchall()) == 2, what="a new dead letter")
    assert connection.execute(query).fetchall() == [(0, 1), (1, 9_999)]
    connection.close()


def change_body(workshop, conversion, change):
    """A record's document, changed as no service would."""
    connection = sqlite3.connect(workshop.data / "records.db", timeout=30)
    with connection:
        [body] = connection.execute(
            "SELECT body FROM conversions WHERE id = ?", [conversion]
        ).fetchone()
        connection.execute(
            "UPDATE conversions SET body = ? WHERE id = ?", [change(body), conversion]
        )
    connection.close()


def test_a_record_that_nobody_can_read_holds_nothing_up(workshop):
    unreadable = workshop.upload(media.clip(1))
    change_body(workshop, unreadable, lambda body: body.replace('"queued"', '"sideways"'))
    readable = workshop.upload(media.clip(1))
    workshop.start("converter")
    connection = sqlite3.connect(workshop.data / "records.db", timeout=30)

    def is_done():
        query = "SELECT state FROM conversions WHERE id = ?"
        return connection.execute(query, [readable]).fetchone() == ("done",)

    wait_for(is_done, what="the other's end")
    connection.close()
    wait_for(lambda: workshop.length("video") == 0, what="an empty queue")
    assert workshop.dead("video") == []


def test_a_worker_that_cannot_start_accuses_no_video(workshop, tmp_path):
    """As after an upgrade of its libraries under the running service."""
    build = tmp_path / "build"
    build.mkdir()
    shutil.copy(RELEASE / "tapedeck", build)
    worker = build / "tapedeck-worker"
    worker.write_text("#!/bin/sh\nsleep 0.3\nexit 127\n")
    worker.chmod(0o755)
    converter = workshop.start("converter", build=build)
    conversion = workshop.upload(media.clip(1))
    wait_for(lambda: "handed back" in converter.log(), what="a conversion handed back")
    assert "cannot start" in converter.log()
    assert workshop.record(conversion)["attempts"] == 0
    worker.unlink()
    shutil.copy(RELEASE / "tapedeck-worker", build)
    workshop.wait_for_state(conversion, "done")
    assert workshop.record(conversion)["attempts"] == 0


@pytest.mark.parametrize(
    "make, code", [(media.silent_clip, "no_audio"), (media.not_media, "not_media")]
)
def test_a_bad_video_fails_at_once_and_leaves_nothing(workshop, make, code):
    workshop.start("converter")
    conversion = workshop.upload(make())
    record = workshop.wait_for_state(conversion, "failed")
    assert record["error"]["code"] == code
    assert record["claim"] == 1
    assert record["due_for"] == "notify"
    wait_for(lambda: not workshop.blobs("mp3"), what="no part of an MP3")


def test_a_vanished_video_is_unreadable(workshop):
    conversion = workshop.upload(media.clip(5))
    for path in workshop.data.rglob(f"*{conversion}*"):
        path.unlink()
    converter = workshop.start("converter")
    record = workshop.wait_for_state(conversion, "failed")
    assert record["error"]["code"] == "unreadable_video"
    told = [line for line in converter.log().splitlines() if "level=error" in line]
    assert len(told) == 1 and conversion in told[0] and "open blob" in told[0], told


def test_a_disk_that_is_away_accuses_no_video(workshop):
    conversion = workshop.upload(media.clip(5), message="off", due_ms=60_000)
    converter = workshop.start("converter")
    wait_for(converter.worker_pids, what="a warm worker")
    blobs, away = workshop.data / "blobs", workshop.data / "away"
    blobs.rename(away)
    workshop.seed("message", "video", conversion)
    wait_for(lambda: "handed back" in converter.log(), what="a conversion handed back")
    wait_for(lambda: "cannot work now" in converter.log(), what="a probe that fails")
    record = workshop.record(conversion)
    assert record["state"] == "queued" and record["attempts"] == 0
    claim = record["claim"]
    time.sleep(3)  # more than its backoff
    assert workshop.record(conversion)["claim"] == claim, "claimed without a store that answers"
    away.rename(blobs)
    workshop.wait_for_state(conversion, "done")
    workshop.check_promises([conversion], mails=False)


def test_a_disk_that_is_full_hands_back_and_leaves_nothing(workshop):
    converter = workshop.start("converter")
    # Not the disk but the process is short of room: for its files that is the same.
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(converter.process.pid, resource.RLIMIT_FSIZE, (1 << 20, unlimited))
    conversion = workshop.upload(media.long_clip(2), notify="none")
    wait_for(lambda: "handed back" in converter.log(), what="a conversion handed back")
    record = workshop.record(conversion)
    assert record["state"] in ("queued", "converting") and record["attempts"] == 0
    assert "no room" in converter.log()
    resource.prlimit(converter.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    record = workshop.wait_for_state(conversion, "done")
    assert record["claim"] > 1 and record["attempts"] == 0
    workshop.check_promises([conversion], mails=False)


def seconds_of(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def test_a_cancelled_conversion_stops_within_two_seconds(workshop):
    converter = workshop.start("converter")
    conversion = workshop.upload(media.long_clip(), notify="none")
    worker = wait_for_worker(converter, workshop, conversion)
    workshop.seed("cancel", conversion)
    begin = time.monotonic()
    wait_for(lambda: worker not in converter.worker_pids(), what="the worker's end")
    # Two seconds of a machine that does nothing else: of one that does, as many times more as a look
    # at the records takes longer than its 20 ms.
    seconds = time.monotonic() - begin
    assert seconds < 2.5 + 20 * seconds_of(lambda: workshop.record(conversion)), seconds
    wait_for(lambda: not workshop.blobs("mp3"), what="no part of an MP3")
    assert workshop.record(conversion)["state"] == "cancelled"


def test_a_worker_that_dies_is_replaced(workshop):
    converter = workshop.start("converter")
    conversion = workshop.upload(media.long_clip())
    os.kill(wait_for_worker(converter, workshop, conversion), signal.SIGKILL)
    wait_for(lambda: workshop.record(conversion)["attempts"] == 1, what="an accusation")
    record = workshop.wait_for_state(conversion, "done", seconds=240)
    assert record["claim"] == 2 and record["lost"] == 0
    workshop.check_promises([conversion], mails=False)


def test_a_video_that_kills_its_workers_fails(workshop):
    converter = workshop.start(
        "converter", {"converter.attempts_max": 1}
    )
    conversion = workshop.upload(media.long_clip())
    os.kill(wait_for_worker(converter, workshop, conversion), signal.SIGKILL)
    record = workshop.wait_for_state(conversion, "failed")
    assert record["error"]["code"] == "internal"
    assert record["attempts"] == 1
    wait_for(lambda: not workshop.blobs("mp3"), what="no part of an MP3")


def test_a_worker_that_stands_still_is_killed(workshop):
    converter = workshop.start(
        "converter",
        {"converter.attempts_max": 1, "converter.stall_max": "4s"},
    )
    conversion = workshop.upload(media.long_clip())
    worker = wait_for_worker(converter, workshop, conversion)
    os.kill(worker, signal.SIGSTOP)
    workshop.wait_for_state(conversion, "failed")
    wait_for(lambda: worker not in converter.worker_pids(), what="the worker's end")


def test_a_stop_hands_back_what_cannot_end_in_time(workshop):
    converter = workshop.start(
        "converter", {"stop.drain_max": "2500ms"}
    )
    conversion = workshop.upload(media.long_clip(120))
    wait_for_worker(converter, workshop, conversion)
    time.sleep(2)
    assert converter.stop() == 0
    # In time: what is closed too late says so, and ends as if it had been killed.
    assert "event=stopped" in converter.log() and "past stop.drain_max" not in converter.log()
    record = workshop.record(conversion)
    assert record["state"] == "queued" and record["attempts"] == 0
    assert not workshop.blobs("mp3")


def test_a_stop_lets_end_what_can(workshop):
    converter = workshop.start("converter", {"stop.drain_max": "5m"})
    conversion = workshop.upload(media.long_clip())
    wait_for(lambda: workshop.record(conversion)["state"] == "converting", what="a claim")
    assert converter.stop(330) == 0
    record = workshop.record(conversion)
    assert record["state"] == "done" and record["claim"] == 1


def test_two_converters_share_the_work(workshop):
    conversions = [workshop.upload(media.clip(5)) for _ in range(8)]
    for conversion in conversions:
        workshop.seed("message", "video", conversion)
    for _ in range(2):
        workshop.start("converter", {"converter.jobs": 2, "recovery.lease": "10s"})
    workshop.check_promises(conversions, mails=False)
    assert all(record["claim"] == 1 for record in workshop.records().values())


def test_a_vanished_converter_is_taken_over(workshop):
    options = {"recovery.lease": "4s"}
    first = workshop.start("converter", options)
    conversion = workshop.upload(media.long_clip(), notify="none")
    wait_for_worker(first, workshop, conversion)
    first.kill()
    workshop.start("converter", options)
    record = workshop.wait_for_state(conversion, "done", seconds=240)
    assert record["lost"] == 1 and record["claim"] == 2 and record["attempts"] == 0
    workshop.check_promises([conversion], mails=False)


def test_a_frozen_converter_that_wakes_does_no_harm(workshop):
    first = workshop.start("converter")
    conversion = workshop.upload(media.long_clip(), notify="none")
    wait_for_worker(first, workshop, conversion)
    workshop.freeze(first)
    workshop.start("converter")
    wait_for(lambda: workshop.record(conversion)["lost"] >= 1, what="a taking over")
    first.process.send_signal(signal.SIGCONT)
    workshop.wait_for_state(conversion, "done", seconds=240)
    workshop.check_promises([conversion], mails=False)


def test_what_was_lost_too_often_fails(workshop):
    workshop.start("converter")
    conversion = workshop.upload(media.clip(5), message="off", due_ms=0, lost=20)
    record = workshop.wait_for_state(conversion, "failed")
    assert record["error"]["code"] == "internal"


def test_what_waited_too_long_fails(workshop):
    conversion = workshop.upload(media.clip(5), due_ms=0)
    time.sleep(1.1)
    workshop.start("converter", {"limits.conversion_age_max": "1s"})
    record = workshop.wait_for_state(conversion, "failed")
    assert record["error"]["code"] == "timed_out"
    assert record["claim"] == 0
    wait_for(lambda: workshop.length("video") == 0, what="an empty queue")


def test_an_idle_converter_stops_at_once(workshop):
    converter = workshop.start("converter", {"stop.drain_max": "60s"})
    wait_for(converter.worker_pids, what="a warm worker")
    begin = time.monotonic()
    assert converter.stop() == 0
    assert time.monotonic() - begin < 10


def lock_records(workshop, seconds):
    """Nobody can write the records for a while."""
    path = workshop.data / "records.db"
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")

    def release():
        time.sleep(seconds)
        connection.execute("ROLLBACK")
        connection.close()

    thread = threading.Thread(target=release)
    thread.start()
    return thread


def test_records_that_do_not_answer_for_a_while_cost_no_work(workshop):
    # The lease is longer than one write waits for the lock, the lock longer than the lease.
    options = {"recovery.lease": "6s"}
    workshop.start("converter", options)
    other = workshop.start("converter", options)
    conversion = workshop.upload(media.long_clip(), notify="none")
    wait_for_worker_of_any(workshop, conversion)
    lock_records(workshop, 12).join()
    record = workshop.wait_for_state(conversion, "done", seconds=240)
    assert record["claim"] == 1, other.log()
    workshop.check_promises([conversion], mails=False)


def wait_for_worker_of_any(workshop, conversion):
    def working():
        record = workshop.record(conversion)
        return record["state"] == "converting" and record["progress"] > 0

    wait_for(working, what="progress")


def test_a_message_is_held_while_the_records_do_not_answer(workshop):
    conversion = workshop.upload(media.clip(5))
    locked = lock_records(workshop, 4)
    workshop.start("converter")
    locked.join()
    record = workshop.wait_for_state(conversion, "done")
    assert record["claim"] == 1
    assert workshop.dead("video") == []


def test_an_original_gateways_video_is_converted(workshop):
    workshop.start("converter", {"messages.original": "on"})
    video = workshop.seed("blob", "video", media.clip(5)).strip()
    body = f'{{"video_fid": "{video}", "mp3_fid": null, "username": "a@example.org"}}'
    workshop.seed("publish", "video", body)
    workshop.seed("publish", "video", body)
    wait_for(lambda: workshop.record(video), what="a record")
    record = workshop.wait_for_state(video, "done")
    assert record["foreign"] == "video" and record["claim"] == 1
    workshop.check_promises([video], mails=False)


def test_metrics_and_readiness(workshop):
    import requests

    converter = workshop.start("converter")
    address = converter.ops_address()
    conversion = workshop.upload(media.clip(5))
    workshop.wait_for_state(conversion, "done")
    ready = requests.get(f"http://{address}/readyz", timeout=30)
    assert ready.status_code == 200
    for name in ["records", "blobs", "queue"]:
        assert name in ready.text
    series = [
        "tapedeck_conversions_ended_total{",
        "tapedeck_conversion_seconds_count",
        "tapedeck_media_seconds_total",
        # Of the others too, which may not run.
        'tapedeck_overdue_seconds{service="converter",role="convert"}',
        'tapedeck_overdue_seconds{service="converter",role="notify"}',
        'tapedeck_overdue_seconds{service="converter",role="clean"}',
        "tapedeck_queue_length{",
    ]

    def missing():
        text = requests.get(f"http://{address}/metrics", timeout=30).text
        return [name for name in series if name not in text]

    wait_for(lambda: not missing(), what="all series")  # a job is counted once it is written down


# ---- Kills after each durable step ----


@pytest.mark.skipif(not (FAULTS / "tapedeck").exists(), reason="no build with fault points")
def test_a_kill_after_any_step_breaks_no_promise(tmp_path):
    def run(n, environment):
        shop = Workshop(tmp_path / str(n))
        try:
            conversion = shop.upload(media.clip(5))
            converter = shop.start("converter", build=FAULTS, environment=environment)

            def is_over():
                is_done = shop.record(conversion)["state"] == "done"
                return not converter.is_running() or (is_done and shop.length("mp3") == 1)

            wait_for(is_over, what="an end")
            converter.wait_until_nothing_comes()
            was_killed = not converter.is_running()
            converter.kill()
            shop.start("converter")
            shop.start("notifier")
            shop.check_promises([conversion])
        finally:
            shop.close()
        return was_killed

    names = kill_after_each_step(run)
    assert names >= {
        "converter.after_claim",
        "converter.after_ack",
        "converter.after_mp3_finish",
        "converter.after_done",
        "publisher.after_publish",
    }

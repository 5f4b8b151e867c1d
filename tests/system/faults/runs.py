"""What goes wrong, run by run. Each has the uploads go on meanwhile, returns what it did, and fails
where that met nothing that could have suffered from it."""

import json
import contextlib
import os
import random
import signal
import threading
import time

import pika
import requests

import media
from cluster import SERVICES
from workshop import wait_for

KILL_EVERY_S = 0.3
OUTAGE_S = 20


def kills(house, count, dice):
    """kill -9 of random services every 300 ms."""
    house.fault_mails("late-1+")
    uploads = house.upload(count, 25, dice.random())
    killed = 0
    while not uploads.are_over():
        killed += house.keeper.kill(dice.choice(SERVICES))
        time.sleep(KILL_EVERY_S)
    uploads.wait()
    wait_for(lambda: not house.stores.unsettled(), 180, "that nothing is due")
    wait_for(lambda: sum(house.keeper.deaths.values()) >= killed, what="that the last death is seen")
    assert sum(house.keeper.deaths.values()) == killed, (house.keeper.deaths, killed)
    records = house.stores.all_records().values()
    jobs = sum(record["lost"] for record in records)
    mails = sum(record["notice"]["attempts"] - 1 for record in records)
    assert uploads.cut + jobs + mails > 0
    return f"{killed} kills; {uploads.cut} uploads, {jobs} jobs, {mails} mails broken off"


def broker(house, count, dice):
    """The broker is killed and started again, three times."""
    uploads = house.upload(count, 35, dice.random())
    down, meanwhile = 0, 0
    for _ in range(3):
        time.sleep(dice.uniform(1, 5))
        house.cluster.kill_server("rabbitmq")
        begin = time.monotonic()
        time.sleep(dice.uniform(0, 4))
        house.cluster.start_server("rabbitmq")
        down += time.monotonic() - begin
        meanwhile += uploads.accepted_between(begin, time.monotonic())
    unpublished = len(house.logged('event="cannot publish'))
    lost = len(house.logged('event="the queue cannot be reached'))
    assert meanwhile > 0 and unpublished > 0 and lost > 0, (meanwhile, unpublished, lost)
    return (
        f"3 restarts, down {down:.0f} s, {meanwhile} uploads meanwhile; publishers told of it "
        f"{unpublished} times, consumers {lost} times"
    )


# In a third of the lease all holders find a server again that was killed. An outage is longer than
# what is left of a notice's lease, so that who finds it before its holder is tempted to take it over.
LEASE_S, MAIL_S = 9, 3
RECORDS_OPTIONS = {
    "recovery.lease": f"{LEASE_S}s",
    "mail.timeout": f"{MAIL_S}s",
    "notifier.mails_at_once": "8",
}


class Outage:
    """Of the records, while mails are on their way: these arrive, and nobody can write that down."""

    def __init__(self, house, begin):
        self.house = house
        found = wait_for(self.several_on_their_way, what="mails on their way")
        begin()
        self.begin = time.monotonic()
        self.notices = found - set(house.stores.mails()[0])

    def several_on_their_way(self):
        found = self.house.stores.on_their_way()
        return found if len(found) > 1 else None

    def arrived(self):
        found = self.notices & set(self.house.stores.mails()[0])
        assert found, "no mail was on its way"
        return len(found)


def records(house, count, dice):
    """The MongoDB server stands still for 20 s, goes on, and is killed and started again."""
    cluster = house.cluster
    house.fault_mails("slow-1+")
    uploads = house.upload(count, 40, dice.random())
    time.sleep(dice.uniform(2, 5))
    still = Outage(house, lambda: cluster.signal_server("mongodb", signal.SIGSTOP))
    time.sleep(OUTAGE_S)
    first = still.arrived()
    cluster.signal_server("mongodb", signal.SIGCONT)
    # A 202 on the last breath, or a late one, is none of an outage.
    assert uploads.accepted_between(still.begin + 1, still.begin + OUTAGE_S - 1) == 0
    time.sleep(dice.uniform(3, 8))
    down = Outage(house, lambda: cluster.kill_server("mongodb"))
    time.sleep(LEASE_S + MAIL_S + dice.uniform(0, 3))
    second = down.arrived()
    cluster.start_server("mongodb")
    return (
        f"still {OUTAGE_S} s, then down {time.monotonic() - down.begin:.0f} s; meanwhile arrived "
        f"{first} and {second} mails"
    )


def accounts(house, count, dice):
    """MySQL is down for 20 s. Whoever is logged in notices nothing."""
    uploads = house.upload(count, 30, dice.random())
    time.sleep(dice.uniform(3, 5))
    house.cluster.kill_server("mariadb")
    begin = time.monotonic()
    for gateway in house.cluster.gateways:
        answer = requests.post(f"{gateway}/login", auth=house.cluster.account, timeout=15)
        assert answer.status_code == 503, answer.text
    time.sleep(begin + OUTAGE_S - time.monotonic())
    meanwhile = uploads.accepted_between(begin, time.monotonic())
    house.cluster.start_server("mariadb")
    assert meanwhile > 0 and not uploads.failures, uploads.failures
    house.cluster.client()
    return f"down {OUTAGE_S} s, {meanwhile} uploads meanwhile"


def mail(house, count, dice):
    """The mail server refuses, is slow, is too slow, and drops the connection after the final dot."""
    house.upload(count, 40, dice.random())
    faults = ["refuse-451+", "slow-1+", "slow-10+", "drop+"]
    for fault in faults:
        house.fault_mails(fault)
        time.sleep(10)
        # By chance, or on a slow machine, no mail is due in ten seconds.
        wait_for(lambda: house.faulted_mails()[fault] > 0, 60, f"a mail to {fault}")
    house.fault_mails(None)
    done = house.faulted_mails()
    return "10 s each or more: " + ", ".join(f"{done[fault]} mails {fault[:-1]}" for fault in faults)


class Copier:
    """Sees each message that is published, and publishes it twice more."""

    def __init__(self, house):
        self.house = house
        self.copied = self.seen = 0
        self.is_over = False
        self.is_tracing = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.is_tracing.wait(20)
        self.house.rabbitmqctl("trace_on")
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def run(self):
        channel = self.house.stores.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "amq.rabbitmq.trace", "publish.")
        self.is_tracing.set()
        while not self.is_over:
            for method, properties, body in channel.consume(queue, inactivity_timeout=0.2):
                if method is None:
                    break
                channel.basic_ack(method.delivery_tag)
                self.copy(channel, properties.headers, body)
        channel.connection.close()

    def copy(self, channel, told, body):
        [queue] = told["routing_keys"]
        before = told["properties"]
        if queue not in ("video", "mp3") or before.get("app_id") == "copy":
            return
        self.seen += 1
        for _ in range(2):
            properties = pika.BasicProperties(
                delivery_mode=2, message_id=before["message_id"], app_id="copy"
            )
            channel.basic_publish("", queue, body, properties)
            self.copied += 1


def copies(house, count, dice):
    """Every message is delivered three times."""
    with Copier(house) as copier:
        uploads = house.upload(count, 20, dice.random())
        uploads.wait()
        wait_for(lambda: not house.stores.unsettled(), 180, "that nothing is due")
    assert copier.seen >= 2 * count, (copier.seen, copier.copied)
    assert copier.copied == 2 * copier.seen, (copier.seen, copier.copied)
    return f"{copier.seen} messages, {copier.copied} copies"


@contextlib.contextmanager
def takers_halted(house):
    pids = [house.cluster.pid(f"{service}-{number}")
            for service in ("converter", "notifier") for number in (1, 2)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def queues(house, count, dice):
    """The queues are purged again and again, and once deleted."""
    uploads = house.upload(count, 25, dice.random())
    purged, rounds = 0, 0
    while not uploads.are_over():
        time.sleep(dice.uniform(0.1, 0.5))
        channel = house.stores.channel()
        rounds += 1
        # Who takes messages is halted a moment, or there would be none to purge.
        with takers_halted(house):
            time.sleep(dice.uniform(0.1, 0.5))
            for queue in ("video", "mp3"):
                if rounds == 8:
                    channel.queue_delete(queue)
                elif rounds != 9:
                    purged += channel.queue_purge(queue).method.message_count
        channel.connection.close()
    assert rounds >= 9 and purged > 0, (rounds, purged)
    return f"{purged} messages purged, 2 queues deleted"


# The broker waits for three heartbeats. Connections that are for probes live by being asked.
LONG_S = 40
LONG_ENVIRONMENT = {"RABBITMQ_CONF": "heartbeat = 10\nconsumer_timeout = 2000"}


def long(house, count, dice):
    """Jobs that take longer than the broker's heartbeats and consumer_timeout allow."""
    house.rabbitmqctl("eval", "application:set_env(rabbit, channel_tick_interval, 500).")
    wait_for(lambda: len(house.workers()) == 2, what="two warm workers")
    stopped = house.workers()
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    uploads = house.upload(2, 0.1, dice.random())
    uploads.wait()
    wait_for(
        lambda: {r["state"] for r in house.stores.all_records().values()} == {"converting"},
        what="two jobs at once",
    )
    end = time.monotonic() + LONG_S
    while time.monotonic() < end:
        time.sleep(5)
        house.ask_if_ready()
    for worker in stopped:
        os.kill(worker, signal.SIGCONT)
    wait_for(lambda: not house.stores.unsettled(), 60, "that nothing is due")
    assert {r["claim"] for r in house.stores.all_records().values()} == {1}
    log = house.broker_log()
    assert "consumer ack timed out" not in log and "missed heartbeats" not in log, log
    return f"2 jobs of {LONG_S} s, heartbeat 10 s, consumer_timeout 2 s"


# Those after which a mail may have come twice: contract.md says when.
RUNS = {
    "kills": kills,
    "broker": broker,
    "records": records,
    "accounts": accounts,
    "mail": mail,
    "copies": copies,
    "queues": queues,
    "long": long,
}
MAY_REPEAT_MAILS = ("kills", "mail")
ENVIRONMENTS = {"long": LONG_ENVIRONMENT}
OPTIONS = {"records": RECORDS_OPTIONS}

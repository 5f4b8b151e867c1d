"""A broker that answers what none should, or breaks off at the worst time."""

import socket
import struct
import subprocess
import threading
import time

import pika
import pytest
from pika import frame, spec

from broker import Handle
from workshop import RELEASE

FRAME_MAX = 131072
ANSWERS = {
    spec.Connection.StartOk: spec.Connection.Tune(channel_max=16, frame_max=FRAME_MAX, heartbeat=30),
    spec.Connection.Open: spec.Connection.OpenOk(),
    spec.Connection.Close: spec.Connection.CloseOk(),
    spec.Channel.Open: spec.Channel.OpenOk(),
    spec.Channel.Close: spec.Channel.CloseOk(),
    spec.Queue.Declare: spec.Queue.DeclareOk("video", 1, 0),
    spec.Basic.Qos: spec.Basic.QosOk(),
    spec.Basic.Get: spec.Basic.GetEmpty(),
    spec.Confirm.Select: spec.Confirm.SelectOk(),
}
END = None  # of the connection, in the place of an answer


def method(channel, answer):
    return frame.Method(channel, answer).marshal()


def header(channel, size):
    return frame.Header(channel, size, pika.BasicProperties()).marshal()


def message(channel, body=b"x"):
    got = spec.Basic.GetOk(delivery_tag=1, exchange="", routing_key="video", message_count=0)
    return method(channel, got) + header(channel, len(body)) + frame.Body(channel, body).marshal()


class Liar:
    """`answers` takes the place of what a broker would say to a method: bytes or a method of any
    channel, or a list of such, one after another."""

    def __init__(self, **answers):
        self.answers = {getattr(spec, name.split("_")[0]).__dict__[name.split("_")[1]]: answer
                        for name, answer in answers.items()}
        self.heard = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"amqp://u:p@127.0.0.1:{self.listener.getsockname()[1]}/"
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self.talk(connection)

    def talk(self, connection):
        received = b""
        while len(received) < 8:
            received += connection.recv(8 - len(received))
        connection.sendall(method(0, spec.Connection.Start(
            0, 9, {"version": "3.10.8"}, "PLAIN", "en_US")))
        received = b""
        while piece := connection.recv(65536):
            received += piece
            while (found := frame.decode_frame(received))[0]:
                received = received[found[0]:]
                if not isinstance(found[1], frame.Method):
                    continue
                answer = self.answer_to(found[1].channel_number, type(found[1].method))
                if answer is END:
                    return
                connection.sendall(answer)

    def answer_to(self, channel, heard):
        self.heard.append(heard)
        answer = self.answers.get(heard, ANSWERS.get(heard, b""))
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else ANSWERS[heard]
        if callable(answer):
            answer = answer(channel)
        return answer if answer is END or isinstance(answer, bytes) else method(channel, answer)


def handle_on(liar):
    return Handle("video", {"stores.queue": "rabbitmq", "rabbitmq.uri": liar.uri})


def test_a_connection_that_never_logged_in_is_not_used():
    with Liar(Connection_Open=spec.Channel.Close(403, "no", 0, 0)) as liar:
        handle = handle_on(liar)
        for _ in range(3):
            assert not handle.do("check")["ok"]
            time.sleep(0.5)
        handle.close()
        assert liar.connections > 1
        assert spec.Channel.Open not in liar.heard


def test_letters_are_seen_once_where_a_listing_breaks_off():
    with Liar(Basic_Get=[message, END, message]) as liar:
        handle = handle_on(liar)
        answer = handle.do("dead")
        handle.close()
        assert not answer["ok"] and len(answer["letters"]) == 1, answer


def test_a_drop_that_may_not_have_been_heard_is_not_told_as_done():
    with Liar(Basic_Get=[message], Channel_Close=END) as liar:
        dropped = subprocess.run(
            [RELEASE / "tapedeck", "queue", "dead", "drop", "--all", "--set", "stores.queue=rabbitmq",
             "--set", f"rabbitmq.uri={liar.uri}"], capture_output=True, text=True, timeout=90)
        assert spec.Basic.Ack in liar.heard
        assert dropped.returncode == 1 and "broker" in dropped.stderr, dropped


def test_a_connection_that_breaks_is_not_told_as_a_missing_queue(tmp_path):
    refused = spec.Channel.Close(403, "ACCESS_REFUSED", 0, 0)
    with Liar(Queue_Declare=[refused, END, refused, END]) as liar:
        migrated = subprocess.run(
            [RELEASE / "tapedeck", "migrate", "--set", f"data.dir={tmp_path / 'data'}",
             "--set", "stores.queue=rabbitmq", "--set", f"rabbitmq.uri={liar.uri}"],
            capture_output=True, text=True, timeout=90)
        assert migrated.returncode == 1
        assert "queue video.dead: broker" in migrated.stderr, migrated
        assert "missing" not in migrated.stderr, migrated


def test_what_comes_while_its_channel_is_closed_is_not_answered():
    def deliver_too_late(channel):
        late = spec.Basic.Deliver("tapedeck", 1, False, "", "video")
        return (method(channel, late) + header(channel, 1) + frame.Body(channel, b"x").marshal()
                + method(channel, spec.Channel.CloseOk()))

    with Liar(Basic_Consume=spec.Basic.ConsumeOk("tapedeck"), Channel_Close=[deliver_too_late]) as liar:
        handle = handle_on(liar)
        for wait in ("take 200", "take 0"):
            told = handle.do(wait)
            assert told["ok"], told
        handle.close()
        assert spec.Basic.Consume in liar.heard and liar.connections == 1
        assert spec.Basic.Nack not in liar.heard


GOT = spec.Basic.GetOk(delivery_tag=1, exchange="", routing_key="video", message_count=0)


@pytest.mark.parametrize("answer", [
    lambda channel: struct.pack(">BHI", 1, channel, 0xFFFFFFF0) + b"x" * 1000,
    lambda channel: struct.pack(">BHI", 9, channel, 4) + b"xxxx\xce",
    lambda channel: struct.pack(">BHI", 1, channel, 4) + b"\xff\xff\xff\xff\xce",
    lambda channel: method(channel, GOT)[:-1] + b"\x00",
    lambda channel: method(channel, GOT) + method(channel, GOT),
    lambda channel: method(channel, GOT) + frame.Body(channel, b"x").marshal(),
    lambda channel: method(channel, GOT) + header(channel, 1) + frame.Body(channel, b"xx").marshal(),
    lambda channel: method(channel, GOT) + header(channel, 2**63),
    lambda channel: method(channel, GOT) + struct.pack(">BHI", 2, channel, 16) + b"\0\x3c\0\0"
    + struct.pack(">QHH", 1, 0x2000, 0xFFFF) + b"\xce",
    lambda channel: method(channel, spec.Basic.ConsumeOk("x")),
    lambda channel: method(7, spec.Channel.Close(404, "\x1b[31m" * 20, 0, 0)),
    b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10,
], ids=["huge frame", "unknown frame", "unknown method", "no end", "no header", "body for header",
        "long body", "short body", "short properties", "other answer", "other channel", "other protocol"])
def test_a_broker_that_talks_nonsense_is_left(answer):
    with Liar(Basic_Get=answer) as liar:
        handle = handle_on(liar)
        told = handle.do("take 0")
        assert not told["ok"] and "broker" in told["error"], told
        assert told["ms"] < 8000 and "\x1b" not in told["error"]
        handle.close()

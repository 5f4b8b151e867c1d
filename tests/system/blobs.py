"""A blob store on MongoDB, step by step (tests/support/blobs), over a wire that can be cut."""

import asyncio
import itertools
import ssl
import struct
import subprocess
import threading
import uuid
from urllib.parse import urlsplit, urlunsplit

import pymongo

from workshop import RELEASE

WRITES = tuple(
    b"\x02" + name + b"\0" for name in (b"insert", b"update", b"delete", b"createIndexes")
) + (b"findAndModify",)


def is_write(message):
    return any(name in message for name in WRITES)


class Wire:
    """The way to a server, whose messages (of the MongoDB wire protocol) a judge lets pass, holds,
    cuts, or cuts off from their answers. What is held arrives once it is let go, whether its sender
    is still there or not."""

    def __init__(self, host, port, tls):
        self.server = {"host": host, "port": port, "ssl": tls}
        self.judge = lambda message: "pass"
        self.held = []
        self.answers = self.answered_bytes = 0  # of the server
        self.delay = lambda size: 0  # seconds, of an answer that long
        self.takers = set()  # asyncio itself forgets those that wait
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.listener = self.call(asyncio.start_server(self.take, "127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.sockets[0].getsockname()[1]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(90)

    def judge_at(self, number, verdict):
        """The verdict falls on the nth write from now on, once."""
        writes = itertools.count(1)
        self.has_judged = False

        def judge(message):
            if not is_write(message) or next(writes) != number:
                return "pass"
            self.has_judged = True
            return verdict

        self.judge = judge

    def let_go(self):
        """Returns once everything that was held has been answered by the server."""
        for arrives, is_answered in self.held:
            self.loop.call_soon_threadsafe(arrives.set)
            self.call(asyncio.wait_for(is_answered.wait(), 60))
        self.held.clear()

    async def take(self, near_in, near_out):
        self.takers.add(asyncio.current_task())
        far_in, far_out = await asyncio.open_connection(**self.server)
        try:
            while message := await read_message(near_in):
                verdict = self.judge(message)
                if verdict == "cut":
                    break
                is_answered = None
                if verdict == "hold":
                    arrives, is_answered = asyncio.Event(), asyncio.Event()
                    self.held.append((arrives, is_answered))
                    await arrives.wait()
                far_out.write(message)
                answer = await read_message(far_in)
                if is_answered:
                    is_answered.set()
                if verdict == "cut after" or not answer:
                    break
                self.answers += 1
                self.answered_bytes += len(answer)
                if seconds := self.delay(len(answer)):
                    await asyncio.sleep(seconds)
                near_out.write(answer)
        except OSError:
            pass
        finally:
            near_out.close()
            far_out.close()

    def close(self):
        if not self.loop.is_running():
            return
        self.call(self.end())
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def end(self):
        self.listener.close()
        for taker in self.takers:
            taker.cancel()
        await asyncio.gather(*self.takers, return_exceptions=True)


async def read_message(stream):
    try:
        size = await stream.readexactly(4)
        return size + await stream.readexactly(struct.unpack("<i", size)[0] - 4)
    except (asyncio.IncompleteReadError, OSError):
        return b""


class Failed(Exception):
    def __init__(self, answer):
        super().__init__(answer)
        self.kind = answer.split()[0]


class Blobs:
    """tests/support/blobs; with several of them as many replicas."""

    def __init__(self, options):
        self.process = subprocess.Popen(
            [str(RELEASE / "tests" / "blobs")] + [f"{k}={v}" for k, v in options.items()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.startswith("ok"):
            raise Failed(answer or "the process ended")
        return answer[3:]

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=60)


class Place:
    """Databases of one's own on a server."""

    def __init__(self, uri, ca_file):
        self.uri = urlsplit(uri)
        self.has_tls = "tls=true" in self.uri.query
        self.ca_file = ca_file
        self.client = pymongo.MongoClient(uri, **({"tlsCAFile": ca_file} if self.has_tls else {}))
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.videos = self.client[f"{name}_videos"]
        self.mp3s = self.client[f"{name}_mp3s"]
        self.open = []

    def wire(self):
        """To the first host. On its near side there is no TLS."""
        host, _, port = self.uri.netloc.rpartition("@")[2].split(",")[0].partition(":")
        tls = ssl.create_default_context(cafile=self.ca_file) if self.has_tls else None
        made = Wire(host, int(port or 27017), tls)
        self.open.append(made)
        return made

    def blobs(self, wire=None, **options):
        uri = self.uri
        if wire:
            login, at, _ = uri.netloc.rpartition("@")
            uri = uri._replace(netloc=login + at + wire.address, query="")
        made = Blobs({
            "stores.blobs": "mongodb",
            "mongodb.uri": urlunsplit(uri),
            "mongodb.ca_file": self.ca_file or "",
            "mongodb.videos_database": self.videos.name,
            "mongodb.mp3s_database": self.mp3s.name,
            **{f"mongodb.{key}": value for key, value in options.items()},
        })
        self.open.append(made)
        return made

    def close(self):
        for one in self.open:
            one.close()
        for database in (self.videos, self.mp3s):
            self.client.drop_database(database.name)
        self.client.close()

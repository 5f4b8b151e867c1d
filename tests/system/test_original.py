"""Our parts in the place of the original's, one or some of them, beside the others of its own: from
an upload to its mail and its MP3."""

import itertools
import os
import re

import pytest
import requests
from bson import ObjectId

import media
import original
from broker import Broker, Host
from deck import Client, Deck, expect
from mail_server import MailServer
from mariadb import TlsMariaDb
from mongodb import MongoDb
from workshop import wait_for

names = (f"original{n}" for n in itertools.count())


class Servers:
    def __init__(self, folder):
        self.started = []
        self.broker = self.started_one(Broker(folder / "rabbitmq").start(), "stop")
        self.mail = self.started_one(MailServer(folder / "smtp").start(), "close")
        self.mariadb = self.started_one(TlsMariaDb(), "close")
        if "TEST_MONGODB_URI" in os.environ:
            self.mongodb_uri = os.environ["TEST_MONGODB_URI"]
            self.mongodb_ca = os.environ.get("TEST_CA_FILE")
        else:
            mongodb = self.started_one(MongoDb(), "stop")
            self.mongodb_uri, self.mongodb_ca = mongodb.uri, mongodb.ca_file

    def started_one(self, server, ending):
        self.started.append(getattr(server, ending))
        return server

    def close(self):
        for end in reversed(self.started):
            end()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    made = Servers(tmp_path_factory.mktemp("servers"))
    yield made
    made.close()


class OurGateway:
    """As a client of the original's uses it."""

    def __init__(self, url):
        self.url = url

    def login(self, account):
        answer = requests.post(f"{self.url}/login", auth=account)
        return answer.text if answer.status_code == 200 else None

    def upload(self, token, path):
        with open(path, "rb") as video:
            answer = requests.post(
                f"{self.url}/upload",
                files={"file": video},
                headers={"Authorization": f"Bearer {token}"},
            )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def download(self, token, fid):
        answer = requests.get(
            f"{self.url}/download", {"fid": fid}, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200, answer.text
        return answer.content


class Mixture(Deck):
    """A system of both: at first all is the original's, `ours` names what is not any more."""

    def __init__(self, folder, servers):
        super().__init__(folder, accounts=())
        self.servers = servers
        self.ours = []
        self.name = next(names)
        self.account = (f"{self.name}@example.org", "secret as typed")
        self.host = Host(servers.broker, self.name)
        # As its operator made them.
        for queue in ("video", "mp3"):
            self.host.channel.queue_declare(queue, durable=True)
        self.stores = original.Stores(
            servers.mongodb_uri, servers.mongodb_ca, self.host.channel
        )
        self.original_auth = original.Auth([self.account])
        servers.mariadb.make_database(self.name)
        servers.mariadb.sql(
            original.TABLE + "INSERT INTO user (email, password) VALUES ('{}', '{}');".format(
                *self.account
            ),
            self.name,
        )

    def options(self):
        """With the accounts only where auth is ours: migrate takes them from the original's."""
        return {
            "stores.records": "mongodb",
            "stores.blobs": "mongodb",
            "mongodb.uri": self.servers.mongodb_uri,
            "mongodb.ca_file": self.servers.mongodb_ca or "",
            "mongodb.database": self.name,
            "messages.original": "on",
            **self.host.options(),
            **self.servers.mail.options(),
            **(self.servers.mariadb.options_for(self.name) if "auth" in self.ours else {}),
        }

    def run(self, *arguments, text=""):
        words = [w for pair in self.options().items() for w in ("--set", "{}={}".format(*pair))]
        result = self.command(*arguments, *words, text=text)
        assert result.returncode == 0, result.stderr

    def replace(self, part, **options):
        """By ours, from now on."""
        self.ours.append(part)
        self.run("migrate")
        options = {**self.options(), **options}
        if part == "auth":
            self.start_auth(options)
        elif part == "gateway":
            self.start_gateway(options)
        else:
            self.start(part, options)

    def gateway_in_use(self):
        if "gateway" in self.ours:
            return OurGateway(self.url)
        return original.Gateway(
            self.stores, self.auth_url if "auth" in self.ours else self.original_auth.url
        )

    def play_the_rest(self):
        """What the original's parts do with an upload, up to the mail."""
        if "converter" not in self.ours:
            original.Converter(self.stores).convert(self.host.get("video")[1])
        if "notifier" not in self.ours:
            mail = self.servers.mail
            sender = original.Notifier(mail.urls["submission"], mail.ca_file)
            sender.notify(self.host.get("mp3", seconds=90)[1])

    def mails(self):
        return self.servers.mail.mails(self.account[0])

    def remote_records(self):
        return list(self.stores.client[self.name].conversions.find())

    def waiting(self):
        queues = ("video", "mp3", "video.dead", "mp3.dead")
        return {queue: self.host.length(queue) for queue in queues}

    def close(self):
        super().close()
        self.original_auth.close()
        self.stores.client.drop_database(self.name)
        self.stores.close()
        self.host.close()


@pytest.fixture
def mixture(servers, tmp_path):
    made = Mixture(tmp_path, servers)
    yield made
    made.close()


def fid_in(mail):
    """The one id that its reader finds."""
    [fid] = set(re.findall(r"\b[0-9a-f]{24}\b", mail.get_body(("plain",)).get_content()))
    return fid


def upload_to_mail(mixture, tmp_path):
    """One more; nothing waits then, nothing was refused, nothing of the original's was touched."""
    mails_before = len(mixture.mails())
    gateway = mixture.gateway_in_use()
    token = gateway.login(mixture.account)
    assert token, mixture.logs()
    video = gateway.upload(token, media.clip())
    before = mixture.stores.document("videos", video)

    mixture.play_the_rest()
    mails = wait_for(
        lambda: mixture.mails()[mails_before:], 90, f"the mail: {mixture.logs()}"
    )
    assert mails[0]["To"] == mixture.account[0]
    fid = fid_in(mails[0])
    mp3 = tmp_path / "got.mp3"
    mp3.write_bytes(gateway.download(token, fid))
    assert media.seconds_of(mp3) == pytest.approx(5, abs=0.2)

    if "notifier" in mixture.ours:
        wait_for(
            lambda: all(r["notice"]["state"] == "sent" for r in mixture.remote_records()),
            what="that the mail is noted",
        )
    assert mixture.waiting() == dict.fromkeys(("video", "mp3", "video.dead", "mp3.dead"), 0)
    assert len(mixture.mails()) == mails_before + 1
    assert mixture.stores.document("videos", video) == before
    if "converter" not in mixture.ours:
        assert set(mixture.stores.document("mp3s", fid)) == {
            "_id", "chunkSize", "length", "uploadDate"
        }


@pytest.mark.parametrize(
    "ours",
    [
        ["auth"],
        ["notifier"],
        ["converter"],
        ["notifier", "converter"],
        ["auth", "converter", "gateway"],
    ],
    ids="+".join,
)
def test_an_upload_ends_with_a_mail_whose_id_is_its_mp3(mixture, ours, tmp_path):
    for part in ours:
        mixture.replace(part)
    upload_to_mail(mixture, tmp_path)


def test_parts_are_replaced_one_after_another_and_nothing_is_mailed_twice(mixture, tmp_path):
    """In the order of docs/from-the-original.md."""
    mixture.run("migrate")
    upload_to_mail(mixture, tmp_path)
    for part in ("notifier", "converter", "auth", "gateway"):
        mixture.replace(part)
        upload_to_mail(mixture, tmp_path)
    # The first one's MP3 is nobody's, and still there.
    first = fid_in(mixture.mails()[0])
    token = mixture.gateway_in_use().login(mixture.account)
    answer = Client(mixture.url, token).get(f"/download?fid={first}")
    expect(answer, 404, "not_found")
    assert mixture.stores.document("mp3s", first)


def test_the_originals_gateway_admits_whom_our_auth_vouches_for(mixture):
    """Which is: the accounts it had, those made with --admin, nobody else."""
    mixture.replace("auth")
    gateway = mixture.gateway_in_use()
    for email, *more in (["admin@example.org", "--admin"], ["user@example.org"]):
        mixture.run("user", "add", email, *more, text="a good password\n")
    claims = gateway.admits(gateway.login(mixture.account))
    assert claims["username"] == mixture.account[0] and claims["exp"] - claims["iat"] == 86400
    assert gateway.admits(gateway.login(("admin@example.org", "a good password")))
    token = gateway.login(("user@example.org", "a good password"))
    assert token and not gateway.admits(token)
    assert gateway.login((mixture.account[0], "wrong")) is None
    assert not gateway.admits("")
    theirs = original.Gateway(mixture.stores, mixture.original_auth.url).login(mixture.account)
    assert theirs and not gateway.admits(theirs)


def test_a_video_without_sound_is_told_of_and_stops_none_behind_it(mixture):
    mixture.replace("notifier")
    mixture.replace("converter")
    gateway = mixture.gateway_in_use()
    token = gateway.login(mixture.account)
    gateway.upload(token, media.silent_clip())
    gateway.upload(token, media.clip())
    wait_for(lambda: len(mixture.mails()) == 2, 90, "both mails")
    assert sorted(r["state"] for r in mixture.remote_records()) == ["done", "failed"]


def test_an_originals_video_outlives_its_record_and_our_mp3_does_not(mixture):
    times = {"retention.video": "1s", "retention.mp3": "12s"}
    mixture.replace("notifier", **times)
    mixture.replace("converter", **times)
    gateway = mixture.gateway_in_use()
    video = gateway.upload(gateway.login(mixture.account), media.clip())
    [mail] = wait_for(mixture.mails, 90, "the mail")
    mp3 = fid_in(mail)
    assert mixture.stores.document("mp3s", mp3)
    wait_for(lambda: not mixture.remote_records(), 90, "the record's end")
    assert not mixture.stores.document("mp3s", mp3)
    assert mixture.stores.videos.get(ObjectId(video)).read() == media.clip().read_bytes()

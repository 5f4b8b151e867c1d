"""A workshop whose records, blobs, messages and mails are on real servers, as in a cluster."""

import os
import pathlib
import subprocess

import bson
import pika
import pymongo
import requests

from deck import Deck
from workshop import RELEASE, ROOT, SEED_ENVIRONMENT

SCRIPT = ROOT / "tests" / "support" / "servers" / "all"
NAMES = ("mongodb", "rabbitmq", "smtp")


class Servers:
    """Of one module of tests; each of its workshops has a place of its own on them."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "servers"
        self.addresses = {}
        self.mongodb = None

    def run(self, verb, *names):
        result = subprocess.run(
            [SCRIPT, verb, self.folder, *names],
            env={**os.environ, "SERVERS_OWNER": str(os.getpid())},
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def start(self):
        self.addresses = dict(line.split("=", 1) for line in self.run("start", *NAMES).splitlines())
        self.mongodb = pymongo.MongoClient(
            self.addresses["TEST_MONGODB_URI"],
            tlsCAFile=self.addresses["TEST_CA_FILE"],
            tz_aware=True,
        )
        return self

    def close(self):
        if self.mongodb:
            self.mongodb.close()
        self.run("stop")

    def signal(self, name, number):
        os.kill(int((self.folder / name / "pid").read_text()), number)

    def broker(self, method, path, **arguments):
        answer = requests.request(
            method,
            f"{self.addresses['RABBITMQ_MANAGEMENT_URL']}/api/{path}",
            auth=("tapedeck", "tapedeck"),
            **arguments,
        )
        assert answer.ok, answer.text


class RemoteDeck(Deck):
    """Accounts alone are in its folder."""

    def __init__(self, folder, servers, name, email):
        self.servers = servers
        self.name = name
        self.databases = {
            part: servers.mongodb[f"{name}_{part}"] for part in ("records", "videos", "mp3s")
        }
        self.email = email  # the mails that are seen
        servers.broker("PUT", f"vhosts/{name}")
        servers.broker(
            "PUT",
            f"permissions/{name}/tapedeck",
            json={"configure": ".*", "write": ".*", "read": ".*"},
        )
        super().__init__(folder, accounts=())

    def options(self):
        told = self.servers.addresses
        return {
            "stores.records": "mongodb",
            "stores.blobs": "mongodb",
            "stores.queue": "rabbitmq",
            "stores.mail": "smtp",
            "mongodb.uri": told["TEST_MONGODB_URI"],
            "mongodb.ca_file": told["TEST_CA_FILE"],
            "mongodb.timeout": "5s",
            "mongodb.database": f"{self.name}_records",
            "mongodb.videos_database": f"{self.name}_videos",
            "mongodb.mp3s_database": f"{self.name}_mp3s",
            "rabbitmq.uri": told["TEST_RABBITMQ_URI"] + self.name,
            "rabbitmq.ca_file": told["TEST_CA_FILE"],
            "smtp.uri": told["TEST_SMTP_URL"],
            "smtp.ca_file": told["TEST_CA_FILE"],
        }

    def seed(self, *arguments, check=True):
        options = {**self.options(), "mongodb.timeout": "30s"}  # it does not try again
        result = subprocess.run(
            [RELEASE / "tests" / "seed", self.data, *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, **SEED_ENVIRONMENT, **environment_of(options)},
        )
        assert not check or result.returncode == 0, result.stderr
        return result.stdout

    def start(self, name, options=None, build=None, environment=None):
        options = {**(self.options() if name != "auth" else {}), **(options or {})}
        return super().start(name, options, build, environment)

    def close(self):
        super().close()
        for database in self.databases.values():
            self.servers.mongodb.drop_database(database)
        self.servers.broker("DELETE", f"vhosts/{self.name}")

    # What is on the servers, as others' clients see it.

    def records(self):
        found = self.databases["records"].conversions.find()
        return {str(record["_id"]): plain(record) for record in found}

    def blobs(self, kind):
        """Whatever there is of them: a file, chunks without one, a writer's turn."""
        database = self.databases[f"{kind}s"]
        return {
            str(id)
            for collection, member in (("files", "_id"), ("chunks", "files_id"), ("writers", "_id"))
            for id in database.fs[collection].distinct(member)
        }

    def length(self, queue):
        address = self.servers.addresses["RABBITMQ_PLAIN_URI"] + self.name
        connection = pika.BlockingConnection(pika.URLParameters(address))
        try:
            return connection.channel().queue_declare(queue, passive=True).method.message_count
        finally:
            connection.close()

    def mail_files(self):
        folder = pathlib.Path(self.servers.addresses["TEST_SMTP_FOLDER"])
        return sorted((folder / "mail" / self.email / "new").glob("*"))


def environment_of(options):
    return {f"TAPEDECK_{name.replace('.', '_').upper()}": value for name, value in options.items()}


def plain(value):
    """As `seed records` tells it."""
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, bson.ObjectId):
        return str(value)
    return value.timestamp() * 1000 if hasattr(value, "timestamp") else value

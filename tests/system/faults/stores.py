"""What lies in the servers of a cluster, seen with their own clients."""

import collections
import re
import time

import gridfs
import pika
import pymongo

from workshop import wait_for

LONG_MS = 30_000  # what is due no sooner waits for nothing but its time of retention


class Stores:
    def __init__(self, cluster):
        self.cluster = cluster
        self.mongodb = pymongo.MongoClient(
            cluster.address("TEST_MONGODB_URI"),
            tlsCAFile=cluster.address("TEST_CA_FILE"),
            serverSelectionTimeoutMS=10000,
        )
        self.records = self.mongodb["tapedeck"]["conversions"]

    def close(self):
        self.mongodb.close()

    def all_records(self):
        return {str(record["_id"]): record for record in self.records.find()}

    def unsettled(self):
        """The records that somebody has to look at soon."""
        later = time.time() * 1000 + LONG_MS
        return [
            record
            for record in self.all_records().values()
            if record["due_for"] != "clean" or record["due_at"].timestamp() * 1000 < later
        ]

    def orphans(self, kind, ids):
        """What no record names, or is not whole: as PyMongo sees the bucket."""
        database = self.mongodb[kind]
        files = {str(file["_id"]): file for file in database["fs.files"].find()}
        found = [f"{kind}: no file {id}" for id in ids - set(files)]
        found += [f"{kind}: file {id} is nobody's" for id in set(files) - ids]
        chunks = collections.Counter()
        for chunk in database["fs.chunks"].find({}, {"files_id": 1, "n": 1}):
            chunks[str(chunk["files_id"])] += 1
        for id, file in files.items():
            wanted = -(-file["length"] // file["chunkSize"])
            if chunks[id] != wanted:
                found.append(f"{kind}: {id} has {chunks[id]} chunks instead of {wanted}")
        found += [f"{kind}: {chunks[id]} chunks of {id} are nobody's" for id in set(chunks) - ids]
        writers = {str(writer["_id"]) for writer in database["fs.writers"].find()}
        return found + [f"{kind}: the turn of {id} is nobody's" for id in writers - ids]

    def read(self, kind, id):
        return gridfs.GridFS(self.mongodb[kind]).get(id).read()

    def mails(self):
        """How many mails there are about each conversion, and all their Message-IDs."""
        counts, names = collections.Counter(), collections.defaultdict(set)
        for path in self.cluster.mail_files():
            found = re.search(
                rb"^Message-ID: <(([0-9a-f]{24})\..*)>", path.read_bytes(), re.MULTILINE
            )
            conversion = found[2].decode()
            counts[conversion] += 1
            names[conversion].add(found[1].decode())
        return counts, names

    def on_their_way(self):
        """The conversions whose mail a notifier has begun with, and not written down yet."""
        found = self.records.find({"notice.state": "sending"}, {"_id": 1})
        return {str(record["_id"]) for record in found}

    def channel(self):
        """Anew each time: brokers die."""
        parameters = pika.URLParameters(self.cluster.address("RABBITMQ_PLAIN_URI") + "%2F")
        return pika.BlockingConnection(parameters).channel()

    def length(self, queue):
        channel = self.channel()
        try:
            return channel.queue_declare(queue, passive=True).method.message_count
        finally:
            channel.connection.close()

    def wait_until_settled(self, seconds):
        wait_for(lambda: not self.unsettled(), seconds, "that nothing is due")
        for queue in ("video", "mp3"):
            wait_for(lambda: self.length(queue) == 0, 30, f"that {queue} is empty")  # noqa: B023

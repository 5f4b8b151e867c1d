"""Users who are not content before what they upload was accepted, whatever happens."""

import random
import threading
import time
import uuid

import requests

import media

USERS = 4
PATIENCE_S = 300


class Uploads:
    """So many clips over so many seconds, in threads of their own."""

    def __init__(self, cluster, count, seconds, seed):
        self.cluster = cluster
        self.count = count
        self.video = media.clip(5).read_bytes()
        self.accepted = []  # ids of conversions that were answered 202
        self.accepted_at = []
        self.tries = 0
        self.failures = []
        self.refused = 0  # tries that were answered, with a status other than 202
        self.cut = 0  # that had a connection, and no answer
        self.lock = threading.Lock()
        self.end = time.monotonic() + PATIENCE_S
        self.pause = 2 * seconds * USERS / count  # at most
        share, rest = divmod(count, USERS)
        self.threads = [
            threading.Thread(
                target=self.run,
                args=(share + (i < rest), random.Random(f"{seed}/{i}"), self.login()),
                daemon=True,
            )
            for i in range(USERS)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, count, dice, token):
        for _ in range(count):
            time.sleep(dice.uniform(0, self.pause))
            # Half of the users know of keys, so that a repeat makes no conversion more.
            key = str(uuid.UUID(int=dice.getrandbits(128))) if dice.random() < 0.5 else None
            while True:
                try:
                    if self.upload(dice.choice(self.cluster.gateways), token, key):
                        break
                except requests.RequestException as failure:
                    self.note_broken(failure)
                if time.monotonic() > self.end:
                    return
                time.sleep(0.2)

    def note(self, failure):
        with self.lock:
            self.failures.append((time.monotonic(), str(failure)))

    def note_broken(self, failure):
        self.note(failure)
        with self.lock:
            self.cut += "Connection refused" not in str(failure)

    def login(self):
        url = self.cluster.gateways[0]
        answer = requests.post(f"{url}/login", auth=self.cluster.account, timeout=15)
        answer.raise_for_status()
        return answer.text

    def upload(self, gateway, token, key):
        with self.lock:
            self.tries += 1
        answer = requests.post(
            f"{gateway}/v1/conversions",
            params={"name": "clip.mp4"},
            headers={"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})},
            data=self.video,
            timeout=15,
        )
        if answer.status_code != 202:
            self.note(f"{answer.status_code} {answer.text[:300]}")
            with self.lock:
                self.refused += 1
            return False
        with self.lock:
            self.accepted.append(answer.json()["id"])
            self.accepted_at.append(time.monotonic())
        return True

    def are_over(self):
        return not any(thread.is_alive() for thread in self.threads)

    def wait(self):
        for thread in self.threads:
            thread.join()

    def accepted_between(self, begin, end):
        return sum(begin <= at <= end for at in self.accepted_at)

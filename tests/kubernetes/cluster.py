"""What the checks of this folder share: kubectl, clients by the Ingress, a video, a table."""

import base64
import json
import pathlib
import subprocess
import threading
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMESPACE = "tapedeck"
SERVICES = ("gateway", "auth", "converter", "notifier")
STORES = ("mongodb", "rabbitmq", "mysql", "mail-sink")


class Kubectl:
    def __init__(self, context):
        self.context = context
        self.begin = ["kubectl", "--namespace", NAMESPACE]
        if context:
            self.begin += ["--context", context]

    def __call__(self, *arguments, text=None, check=True, seconds=600):
        done = subprocess.run(
            [*self.begin, *arguments], input=text, capture_output=True, text=True, timeout=seconds
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments):
        return json.loads(self("get", *arguments, "-o", "json"))

    def secret(self, name, key):
        return base64.b64decode(self.get("secret", name)["data"][key]).decode().strip()

    def pods(self, name):
        found = self.get("pods", "-l", f"app.kubernetes.io/name={name}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def is_ready(self, name):
        pods = self.pods(name)
        return bool(pods) and all(
            condition["status"] == "True"
            for pod in pods
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "Ready"
        ) and all(pod["status"]["phase"] == "Running" for pod in pods)


def wait_for(condition, what, seconds=300, pause=0.5):
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (requests.RequestException, RuntimeError):
            found = None
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {seconds} s")
        time.sleep(pause)


def make_video(seconds):
    """AAC in MP4, so that a conversion takes a while and an upload does not."""
    path = ROOT / "build-minikube" / f"video-{seconds}.mp4"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
             f"sine=frequency=440:duration={seconds}:sample_rate=44100", "-ac", "2", "-c:a", "aac",
             "-b:a", "64k", path],
            check=True,
        )
    return path


def own_account(kubectl):
    """A new one: what a day may have of one account's conversions is soon used up."""
    account = (f"load-{time.time_ns()}@example.org", "a password of nobody's")
    kubectl("exec", "-i", "deploy/auth", "-c", "auth", "--", "tapedeck", "user", "add", account[0],
            text=account[1])
    return account


class Client:
    def __init__(self, kubectl, address, account=None):
        self.address = address
        self.account = account or (kubectl.secret("login", "email"), kubectl.secret("login", "password"))
        self.session = requests.Session()
        self.session.trust_env = False
        self.log_in()

    def log_in(self):
        answer = self.session.post(f"{self.address}/login", auth=self.account, timeout=30)
        answer.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {answer.text}"

    def upload(self, path, **options):
        with open(path, "rb") as video:
            answer = self.session.post(
                f"{self.address}/v1/conversions", params={"name": path.name, **options}, data=video,
                timeout=600,
            )
        answer.raise_for_status()
        return answer.json()["id"]

    def get(self, conversion):
        answer = self.session.get(f"{self.address}/v1/conversions/{conversion}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def mp3(self, conversion):
        answer = self.session.get(f"{self.address}/v1/conversions/{conversion}/mp3", timeout=600)
        answer.raise_for_status()
        # requests does not mind a body that ends early.
        if len(answer.content) != int(answer.headers["Content-Length"]):
            raise requests.ConnectionError(f"{len(answer.content)} bytes, then the connection ended")
        return answer.content

    def wait_until_told(self, conversion, seconds=900):
        def is_told():
            found = self.get(conversion)
            assert found["state"] not in ("failed", "cancelled"), found
            return found if found["notification"]["state"] == "sent" else None

        return wait_for(is_told, f"the mail about {conversion}", seconds)


class Forward:
    """`with Forward(…) as address`: host:port on this machine."""

    def __init__(self, kubectl, target, port):
        self.process = subprocess.Popen(
            [*kubectl.begin, "port-forward", target, f":{port}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        self.address = self.process.stdout.readline().split()[2]

    def __enter__(self):
        return self.address

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Mails:
    """The mail sink's, by a forwarded port."""

    def __init__(self, kubectl):
        self.forward = Forward(kubectl, "service/mail-sink", 8025)
        self.url = f"http://{self.forward.address}"

    def count(self, conversion):
        found = requests.get(f"{self.url}/api/v1/messages", params={"limit": 1000}, timeout=30).json()
        return sum(conversion in message["MessageID"] for message in found["messages"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.forward.__exit__()


class Load:
    """A steady stream of requests, each by a connection of its own or one that is kept, from threads
    that do the same again and again until the end."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {}
        self.failures = []
        self.slowest = {}
        self.is_over = threading.Event()
        self.threads = []

    def start(self, kind, act, pause=0.0):
        def run():
            while not self.is_over.is_set():
                begun = time.monotonic()
                try:
                    act()
                    failure = None
                except Exception as error:  # whatever a client would see
                    failure = f"{kind}: {error}"
                taken = time.monotonic() - begun
                with self.lock:
                    self.counts[kind] = self.counts.get(kind, 0) + 1
                    self.slowest[kind] = max(self.slowest.get(kind, 0), taken)
                    if failure:
                        self.failures.append(failure)
                self.is_over.wait(pause)

        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()

    def stop(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(120)

    def rows(self):
        return [
            (kind, self.counts[kind],
             sum(failure.startswith(f"{kind}:") for failure in self.failures),
             f"{self.slowest[kind]:.2f}")
            for kind in sorted(self.counts)
        ]


def table(title, header, rows):
    rows = [tuple(str(cell) for cell in row) for row in [header, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    print(f"\n{title}")
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(flush=True)

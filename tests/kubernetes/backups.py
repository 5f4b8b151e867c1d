"""A filled system backed up, destroyed and restored into an empty one."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import requests

from cluster import ROOT, Client, make_video, table, wait_for

PEOPLE = {"anna@example.org": "a password of Anna's", "berta@example.org": "another one, of Berta's"}
UPLOADS = [{"bitrate_kbps": 128}, {"bitrate_kbps": 64, "channels": 1}]
COPY = ROOT / "tests" / "kubernetes" / "copy_mongodb"


def run(*command, **variables):
    begun = time.monotonic()
    done = subprocess.run(
        [str(word) for word in command], env={**os.environ, **variables}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr}{done.stdout}")
    return done.stdout.split("\n")[-2], time.monotonic() - begun


def person(address, email, password):
    one = Client.__new__(Client)
    one.address, one.account, one.session = address, (email, password), requests.Session()
    one.session.trust_env = False
    wait_for(lambda: one.log_in() is None, f"the login of {email}", 60)
    return one


def fill(kubectl, client):
    """[(person, conversion as it is shown, MP3)]"""
    video, filled = make_video(60), []
    for email, password in PEOPLE.items():
        kubectl("exec", "-i", "deploy/auth", "-c", "auth", "--", "tapedeck", "user", "add", email,
                text=password, check=False)
        one = person(client.address, email, password)
        for options in UPLOADS:
            conversion = one.upload(video, **options)
            filled.append((one, one.wait_until_told(conversion), one.mp3(conversion)))
    return filled


def is_refused(address, account):
    answer = requests.post(f"{address}/login", auth=account, timeout=30)
    return answer.status_code == 401


def backup(kubectl, client, told):
    context = kubectl.context or "minikube"
    cluster = ["--context", context]
    image = kubectl.get("deployment", "gateway")["spec"]["template"]["spec"]["containers"][0]["image"]
    python = [sys.executable, str(COPY)]
    dump, load = ({f"MONGODB_{verb.upper()}": " ".join([*python, verb, context])}
                  if told.copy_mongodb else {} for verb in ("dump", "load"))
    filled = fill(kubectl, client)
    rows = [("filled: accounts, conversions, bytes of MP3s",
             f"{len(PEOPLE)}, {len(filled)}, {sum(len(mp3) for *_, mp3 in filled)}", "")]
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / "key"
        subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
        recipient = subprocess.run(
            ["age-keygen", "-y", key], check=True, capture_output=True, text=True
        ).stdout.strip()
        kept, seconds = run(ROOT / "deploy/kubernetes/backup", *cluster, "--recipient", recipient,
                            "--to", folder, **dump)
        sizes = sum(file.stat().st_size for file in pathlib.Path(kept).iterdir())
        rows.append(("backed up, bytes", sizes, f"{seconds:.0f}"))
        rows.append(("destroyed", "", f"{run(ROOT / 'deploy/minikube/down', *cluster)[1]:.0f}"))
        _, seconds = run(ROOT / "deploy/minikube/up", *cluster, "--image", image, "--overlay",
                         told.overlay, "--address", client.address, "--no-sample")
        refused = [is_refused(client.address, account) for account in PEOPLE.items()]
        rows.append(("an empty one made: logins refused", f"{sum(refused)} of {len(refused)}",
                     f"{seconds:.0f}"))
        _, seconds = run(ROOT / "deploy/kubernetes/restore", *cluster, "--identity", key, kept, **load)
        rows.append(("restored", "", f"{seconds:.0f}"))
    tokens = sum(one.get(shown["id"]) == shown for one, shown, _ in filled)
    for one, *_ in filled:
        one.log_in()
    same = sum(one.get(shown["id"]) == shown for one, shown, _ in filled)
    mp3s = sum(one.mp3(shown["id"]) == mp3 for one, shown, mp3 in filled)
    client.log_in()
    again = fill_once(filled[0][0])
    total = len(filled)
    rows += [
        ("tokens of before admit", f"{tokens} of {total}", ""),
        ("logins, conversions as they were", f"{same} of {total}", ""),
        ("MP3s byte for byte", f"{mp3s} of {total}", ""),
        ("another video converted", again, ""),
    ]
    table("Backed up, destroyed, restored", ("what", "", "s"), rows)
    return all(refused) and tokens == same == mp3s == total and again == "done"


def fill_once(one):
    return one.wait_until_told(one.upload(make_video(60)))["state"]

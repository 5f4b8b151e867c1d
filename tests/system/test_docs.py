"""The examples of docs/http-api.md, pasted one after another into a shell."""

import contextlib
import os
import pty
import re
import select
import shutil
import time

import media
from deck import ANNA
from served import Served
from test_commands import tapedeck, verdicts
from workshop import ROOT


def commands(page):
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)


def type_into_shell(folder, script, answers, seconds=300):
    """What a shell on a terminal shows, and its exit status; answers: {prompt: what is typed}."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvp("bash", ["bash", "-e", "-o", "pipefail", str(script)])
    shown, answers = "", dict(answers)
    end = time.monotonic() + seconds
    with contextlib.suppress(OSError):  # the terminal ends with the shell
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            shown += os.read(terminal, 65536).decode(errors="replace")
            for prompt in [prompt for prompt in answers if prompt in shown]:
                os.write(terminal, f"{answers.pop(prompt)}\n".encode())
    os.close(terminal)  # ends what still runs
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_examples_of_the_http_api_work_in_their_order(tmp_path):
    with contextlib.closing(Served(tmp_path)) as served:
        served.start_serve()
        folder = tmp_path / "shell"
        folder.mkdir()
        shutil.copy(media.clip(5), folder / "talk.mp4")
        text = "\n".join(commands("http-api.md"))
        assert text.count("http://127.0.0.1:8080") == text.count("email=you@example.org") == 1
        text = text.replace("http://127.0.0.1:8080", served.url)
        script = folder / "script"
        script.write_text(text.replace("email=you@example.org", f"email={ANNA[0]}"))
        shown, status = type_into_shell(folder, script, {"password for user": ANNA[1]})
        assert status == 0, shown
        mp3 = (folder / "talk.mp3").read_bytes()
        assert len(mp3) > 50_000 and (folder / "part.mp3").read_bytes() == mp3
        conversions = served.client().get("/v1/conversions").json()["conversions"]
        assert {c["state"] for c in conversions} <= {"done", "queued", "converting"}
        assert len(conversions) == 2  # of three one was deleted


def test_each_configuration_of_a_cluster_is_enough_for_its_service(tmp_path):
    """No option is misspelled, and no store is left to the data folder."""
    text = (ROOT / "docs" / "cluster.md").read_text()
    configurations = re.findall(r"^```ini\n(.*?)^```$", text, re.M | re.S)
    addresses = {
        "mongodb.uri": "mongodb://127.0.0.1:1/",
        "rabbitmq.uri": "amqp://127.0.0.1:1/",
        "smtp.uri": "smtp://localhost:1",
        "app.uri": "mysql://127.0.0.1:1/tapedeck",
        "gateway.key": "a-secret-that-is-long-enough",
    }
    for name, content in addresses.items():
        (tmp_path / name).write_text(f"{content}\n")
        (tmp_path / name).chmod(0o600)
    services = ("gateway", "converter", "notifier", "auth")
    for service, configuration in zip(services, configurations, strict=True):
        file = tmp_path / f"{service}.ini"
        file.write_text(configuration.replace("/etc/tapedeck/", f"{tmp_path}/"))
        missing = f"data.dir={tmp_path / 'missing'}"
        shown = tapedeck("doctor", service, "--config", str(file), "--set", missing)
        assert shown.stderr == "", service
        assert verdicts(shown)["data folder"] == ("-", "all stores are on servers"), service

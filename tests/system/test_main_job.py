"""What Tapedeck is for: video in, MP3 out, email when ready; through `tapedeck serve`."""

import re
import subprocess

import pytest
import requests

import media
from deck import BEN
from served import Served
from workshop import wait_for

SECONDS = 4
VIDEO = ["-f", "lavfi", "-i", f"testsrc2=size=128x96:rate=10:duration={SECONDS}"]
SOUND = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=44100:duration={SECONDS}"]
CONTAINERS = {
    "mp4": ["-c:v", "mpeg4", "-c:a", "aac"],
    "mkv": ["-c:v", "mpeg4", "-c:a", "libvorbis"],
    "webm": ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"],
    "mov": ["-c:v", "mpeg4", "-c:a", "pcm_s16le"],
    "avi": ["-c:v", "mpeg4", "-c:a", "libmp3lame"],
    "ts": ["-c:v", "mpeg2video", "-c:a", "mp2"],
    "flv": ["-c:v", "flv", "-c:a", "aac"],
}


def make_video(container):
    path = media.folder() / f"job.{container}"
    if not path.exists():
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *VIDEO, *SOUND, *CONTAINERS[container], path],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    return path


def the_mail_about(serve, conversion):
    found = wait_for(lambda: serve.mails_about(conversion), what="the email")
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("job")).start_serve()
    yield made
    made.close()


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_video_becomes_an_mp3_that_the_email_leads_to(shared, container):
    video = make_video(container)
    bearer = {"Authorization": f"Bearer {shared.token}"}
    with open(video, "rb") as stream:
        answer = requests.post(
            f"{shared.url}/upload", headers=bearer, files={"file": (f"talk.{container}", stream)}
        )
    assert answer.status_code == 202, answer.text
    conversion = answer.json()["id"]
    assert answer.headers["Location"] == f"/v1/conversions/{conversion}"

    ended = shared.wait_for_end(conversion)
    assert ended["state"] == "done", ended
    assert ended["video"]["name"] == f"talk.{container}"
    assert ended["video"]["size_bytes"] == video.stat().st_size
    assert ended["mp3"]["duration_seconds"] == pytest.approx(SECONDS, abs=0.15)

    mail = the_mail_about(shared, conversion)
    assert mail["To"].addresses[0].addr_spec == shared.account[0]
    text = mail.get_body(("plain",)).get_content()
    assert f"talk.{container}" in text
    assert f"{shared.url}/c/{conversion}" in text
    [fid] = re.findall(r"MP3 id:\s+(\S+)", text)
    assert fid == ended["mp3"]["id"]

    mp3 = requests.get(f"{shared.url}/download", params={"fid": fid}, headers=bearer)
    assert mp3.status_code == 200
    assert mp3.headers["Content-Type"] == "audio/mpeg"
    assert len(mp3.content) == ended["mp3"]["size_bytes"]
    path = media.folder() / f"job-{container}.mp3"
    path.write_bytes(mp3.content)
    assert media.seconds_of(path) == pytest.approx(SECONDS, abs=0.15)
    assert media.loudest_frequency_of(path) == pytest.approx(440, abs=5)
    # The state of the notice follows the mail.
    sent = wait_for(
        lambda: (lambda c: c if c["notification"]["state"] == "sent" else None)(
            shared.wait_for_end(conversion)
        ),
        what="the note that the email was sent",
    )
    assert sent["owner"] == shared.account[0]


def test_what_has_no_sound_fails_and_the_email_says_why(shared):
    client = shared.client()
    answer = client.upload(media.silent_clip().read_bytes(), query="?name=silent.mp4")
    assert answer.status_code == 202, answer.text
    ended = shared.wait_for_end(answer.json()["id"])
    assert (ended["state"], ended["error"]["code"], ended["mp3"]) == ("failed", "no_audio", None)
    mail = the_mail_about(shared, ended["id"])
    assert ended["error"]["message"] in mail.get_body(("plain",)).get_content()
    answer = client.get(f"/download?fid={ended['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conversion_failed")


def test_what_is_no_video_fails(shared):
    answer = shared.client().upload(media.not_media().read_bytes())
    ended = shared.wait_for_end(answer.json()["id"])
    assert (ended["state"], ended["error"]["code"]) == ("failed", "not_media")


def test_nobody_else_gets_it(shared):
    answer = shared.client().upload(media.clip(5).read_bytes())
    ended = shared.wait_for_end(answer.json()["id"])
    stranger = shared.client(BEN)
    for path in (
        f"/download?fid={ended['mp3']['id']}",
        f"/download?fid={ended['id']}",
        f"/v1/conversions/{ended['id']}",
        f"/v1/conversions/{ended['id']}/mp3",
    ):
        assert stranger.get(path).status_code == 404, path
        assert requests.get(shared.url + path).status_code == 401, path
    assert stranger.get("/v1/conversions").json()["conversions"] == []

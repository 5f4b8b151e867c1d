"""The notifier's promises, on its stores and its Maildir."""

import time

import pytest
import requests

import media
from workshop import FAULTS, Workshop, kill_after_each_step, wait_for


def make_done(workshop, **wishes):
    conversion = workshop.upload(media.clip(5), message="off", **wishes)
    workshop.seed("done", conversion, media.clip(5))
    return conversion


def wait_for_notice(workshop, conversion, state):
    return wait_for(
        lambda: workshop.record(conversion)["notice"]["state"] == state,
        what=f"notice {state}",
    )


def test_a_done_mail_can_be_read(workshop):
    name = 'Größe "2" – 日本\r\nBcc: evil@example.org <b>&amp;.mp4'
    workshop.start(
        "notifier",
        {
            "gateway.public_url": "https://tapedeck.example",
            "mail.from": "Tape Deck <deck@tapedeck.example>",
            "mail.reply_to": "help@tapedeck.example",
        },
    )
    conversion = make_done(workshop, name=name)
    workshop.seed("message", "mp3", conversion)
    wait_for_notice(workshop, conversion, "sent")
    [mail] = workshop.mails()
    assert not mail.defects
    assert mail["Message-ID"] == f"<{conversion}.done@tapedeck.example>"
    assert mail["From"].addresses[0].addr_spec == "deck@tapedeck.example"
    assert mail["From"].addresses[0].display_name == "Tape Deck"
    assert mail["Reply-To"].addresses[0].addr_spec == "help@tapedeck.example"
    assert mail["To"].addresses[0].addr_spec == "anna@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Bcc"] is None
    assert abs(mail["Date"].datetime.timestamp() - time.time()) < 60
    shown = 'Größe "2" – 日本Bcc: evil@example.org <b>&amp;.mp4'
    assert mail["Subject"] == f"Your MP3 is ready: {shown}"
    assert mail.get_content_type() == "multipart/alternative"
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    record = workshop.record(conversion)
    for expected in [
        shown,
        f"https://tapedeck.example/c/{conversion}",
        record["mp3"]["id"],
        "20:00",
        "Kept until:",
    ]:
        assert expected in text
    assert f'href="https://tapedeck.example/c/{conversion}"' in html
    assert "<b>&amp;" not in html and "&lt;b&gt;&amp;amp;" in html


def test_a_failed_mail_says_why(workshop):
    workshop.start("notifier")
    conversion = workshop.upload(media.clip(5), message="off", name="talk.mp4")
    workshop.seed("failed", conversion, "no_audio")
    wait_for_notice(workshop, conversion, "sent")
    [mail] = workshop.mails()
    assert mail["Message-ID"].startswith(f"<{conversion}.failed@")
    text = mail.get_body(("plain",)).get_content()
    assert workshop.record(conversion)["error"]["message"] in text
    assert "What you can do:" in text
    assert "http" not in text  # no public URL was given


def test_lost_doubled_and_late_messages_make_one_mail(workshop):
    workshop.start("notifier")
    conversion = make_done(workshop)
    for _ in range(3):
        workshop.seed("message", "mp3", conversion)
    lost = make_done(workshop)
    wait_for_notice(workshop, conversion, "sent")
    wait_for_notice(workshop, lost, "sent")
    workshop.seed("message", "mp3", conversion)
    wait_for(lambda: workshop.length("mp3") == 0, what="an empty queue")
    assert len(workshop.mails()) == 2


def test_who_wants_no_mail_gets_none(workshop):
    workshop.start("notifier")
    conversion = make_done(workshop, notify="none")
    workshop.seed("message", "mp3", conversion)
    wait_for(lambda: workshop.length("mp3") == 0, what="an empty queue")
    time.sleep(0.5)
    assert workshop.mails() == []
    assert workshop.record(conversion)["notice"]["state"] == "none"


def test_an_address_that_is_none_fails_for_good(workshop):
    workshop.start("notifier")
    conversion = make_done(workshop, email="nobody")
    workshop.seed("message", "mp3", conversion)
    wait_for_notice(workshop, conversion, "failed")
    assert "address" in workshop.record(conversion)["notice"]["error"]
    assert workshop.mails() == []


def test_a_mail_server_that_is_down_uses_up_no_attempts(workshop):
    notifier = workshop.start("notifier", {"notifier.mails_at_once": 1})
    conversion = make_done(workshop)
    mail, away = workshop.data / "mail", workshop.data / "away"
    ready = f"http://{notifier.ops_address()}/readyz"
    wait_for(lambda: requests.get(ready, timeout=30).status_code == 200, what="readiness")
    mail.rename(away)
    workshop.seed("message", "mp3", conversion)
    wait_for(lambda: "cannot work now" in notifier.log(), what="a probe that fails")
    time.sleep(3)  # more than the first backoff
    record = workshop.record(conversion)
    assert record["notice"]["attempts"] == 1 and record["notice"]["state"] == "pending"
    away.rename(mail)
    wait_for_notice(workshop, conversion, "sent")
    assert len(workshop.mails()) == 1


def test_an_original_converters_mp3_is_mailed_and_forgotten(workshop):
    workshop.start("notifier", {"messages.original": "on"})
    mp3 = workshop.seed("blob", "mp3", media.clip(5)).strip()
    video = "66f000000000000000000001"
    body = f'{{"video_fid": "{video}", "mp3_fid": "{mp3}", "username": "b@example.org"}}'
    workshop.seed("publish", "mp3", body)
    workshop.seed("publish", "mp3", body)
    wait_for(lambda: workshop.record(mp3), what="a record")
    wait_for_notice(workshop, mp3, "sent")
    wait_for(lambda: workshop.length("mp3") == 0, what="an empty queue")
    [mail] = workshop.mails()
    assert mail["To"].addresses[0].addr_spec == "b@example.org"
    assert mp3 in mail.get_body(("plain",)).get_content()
    assert workshop.blobs("mp3") == {mp3}


@pytest.mark.skipif(not (FAULTS / "tapedeck").exists(), reason="no build with fault points")
def test_a_kill_after_any_step_makes_one_mail(tmp_path):
    def run(n, environment):
        shop = Workshop(tmp_path / str(n))
        try:
            conversion = make_done(shop)
            shop.seed("message", "mp3", conversion)
            notifier = shop.start("notifier", build=FAULTS, environment=environment)

            def is_over():
                is_sent = shop.record(conversion)["notice"]["state"] == "sent"
                return not notifier.is_running() or is_sent

            wait_for(is_over, what="an end")
            notifier.wait_until_nothing_comes()
            was_killed = not notifier.is_running()
            notifier.kill()
            shop.start("notifier")
            wait_for_notice(shop, conversion, "sent")
            assert len(shop.mails_about(conversion)) == 1
        finally:
            shop.close()
        return was_killed

    names = kill_after_each_step(run)
    assert names >= {
        "notifier.after_claim",
        "notifier.after_ack",
        "notifier.after_send",
        "notifier.after_settle",
    }

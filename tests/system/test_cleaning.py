"""What is kept, and for how long: the cleaner that runs in every gateway and converter."""

import time

import media
from workshop import wait_for

# The gateway only cleans here; who logs in is nobody's business.
GATEWAY = {"gateway.listen": "127.0.0.1:0", "gateway.auth_url": "http://127.0.0.1:1"}


def start_gateway(workshop, **options):
    options = {name.replace("__", "."): value for name, value in options.items()}
    return workshop.start("gateway", {**GATEWAY, **options})


def convert(workshop, *conversions, **options):
    """All of them, with these retentions; the converter is gone before it cleans, which it would too."""
    options = {name.replace("__", "."): value for name, value in options.items()}
    converter = workshop.start("converter", {**options, "recovery.look_interval": "5m"})
    for conversion in conversions:
        workshop.wait_for_state(conversion, "done", "failed")
    converter.kill()


def is_gone(workshop, conversion):
    return (
        workshop.record(conversion) is None
        and conversion not in workshop.blobs("video")
        and not workshop.blobs("mp3")
    )


def test_a_video_goes_before_its_mp3(workshop):
    conversion = workshop.upload(media.clip(5), notify="none")
    convert(workshop, conversion, retention__video="2s")
    assert workshop.blobs("video") == {conversion}
    start_gateway(workshop, retention__video="2s")
    # The bytes go first, then the record says so.
    wait_for(lambda: workshop.record(conversion)["video"]["removed"], what="that the video goes")
    assert not workshop.blobs("video")
    record = workshop.record(conversion)
    assert record["state"] == "done"
    assert workshop.blobs("mp3") == {record["mp3"]["id"]}
    assert workshop.is_reconciled()


def test_what_has_expired_goes_and_its_owners_name_first(workshop):
    options = {"retention__mp3": "2s", "recovery__grace": "8s"}  # time to look before all goes
    done = workshop.upload(media.clip(5), notify="none", email="anna@example.org", name="mine.mp4")
    failed = workshop.upload(media.not_media(), notify="none")
    convert(workshop, done, failed, **options)
    mp3 = workshop.record(done)["mp3"]["id"]
    start_gateway(workshop, **options)
    workshop.wait_for_state(done, "deleting")
    record = str(workshop.record(done))
    assert "anna" not in record and "mine" not in record
    assert workshop.blobs("mp3") == {mp3}  # a download may be under way: one grace more
    for conversion in (done, failed):
        wait_for(lambda: is_gone(workshop, conversion), what="that all is gone")


def test_a_cancelled_conversions_video_goes_at_once(workshop):
    conversion = workshop.upload(media.clip(5))
    start_gateway(workshop)
    workshop.seed("cancel", conversion)
    wait_for(lambda: not workshop.blobs("video"), what="that the video goes")
    assert workshop.record(conversion)["state"] == "cancelled"


def test_what_a_lost_claim_left_behind_goes(workshop):
    conversion = workshop.upload(media.long_clip(30), notify="none")
    first = workshop.start("converter")
    wait_for(lambda: workshop.blobs("mp3"), what="the first claim's MP3")
    first.kill()
    [lost] = workshop.blobs("mp3")
    second = workshop.start("converter")
    record = workshop.wait_for_state(conversion, "done", seconds=180)
    second.kill()
    assert record["claim"] == 2 and record["mp3"]["id"] != lost
    start_gateway(workshop)
    wait_for(lambda: lost not in workshop.blobs("mp3"), what="that the lost one goes")
    assert workshop.blobs("mp3") == {record["mp3"]["id"]}


def test_a_notice_that_nobody_sends_keeps_no_record_for_ever(workshop):
    conversion = workshop.upload(media.clip(5))
    convert(workshop, conversion)
    assert workshop.record(conversion)["notice"]["state"] == "pending"
    start_gateway(workshop, recovery__notice_age_max="1s")
    wait_for(
        lambda: workshop.record(conversion)["notice"]["state"] == "failed",
        what="that the notice is given up",
    )
    wait_for(workshop.is_reconciled, what="that nothing is due")


def test_what_an_original_service_wrote_is_never_removed(workshop):
    options = {"messages__original": "on", "retention__mp3": "1s", "retention__video": "1s"}
    video = workshop.seed("blob", "video", media.clip(5)).strip()
    unknown = workshop.seed("blob", "mp3", media.not_media()).strip()
    workshop.seed(
        "publish", "video", f'{{"video_fid":"{video}","mp3_fid":null,"username":"a@example.org"}}'
    )
    converter = workshop.start(
        "converter", {name.replace("__", "."): value for name, value in options.items()}
    )
    workshop.wait_for_state(video, "done", "deleting")
    wait_for(lambda: workshop.record(video)["notice"]["state"] != "none", what="a notice")
    workshop.start("notifier")
    start_gateway(workshop, **options)
    wait_for(lambda: workshop.record(video) is None, what="that the record goes")
    converter.kill()
    assert workshop.blobs("video") == {video}
    assert workshop.blobs("mp3") == {unknown}


def test_several_cleaners_get_on_with_each_other(workshop):
    conversions = [workshop.upload(media.not_media(), message="off") for _ in range(30)]
    gateways = [start_gateway(workshop) for _ in range(3)]
    for conversion in conversions:
        workshop.seed("delete", conversion)
    wait_for(lambda: not workshop.records(), what="that all are gone")
    assert workshop.blobs("video") == set()
    for gateway in gateways:
        assert gateway.stop() == 0
        assert "level=error" not in gateway.log()
    removals = sum(gateway.log().count("record removed") for gateway in gateways)
    assert removals == len(conversions)


def test_a_cleaner_goes_on_after_the_records_were_away(workshop):
    conversion = workshop.upload(media.not_media(), message="off")
    gateway = start_gateway(workshop)
    path = workshop.data / "records.db"
    gateway.stop()
    for name in ("records.db", "records.db-wal", "records.db-shm"):
        if (workshop.data / name).exists():
            (workshop.data / name).rename(workshop.data / f"{name}.away")
    gateway = start_gateway(workshop)
    wait_for(lambda: "trying on" in gateway.log(), what="that it cannot look")
    time.sleep(0.5)
    assert gateway.log().count("trying on") == 1  # not a line each look
    for away in workshop.data.glob("*.away"):
        away.rename(away.with_suffix(""))
    assert path.exists()
    workshop.seed("delete", conversion)
    wait_for(lambda: not workshop.records(), what="that it is gone")
    wait_for(lambda: "cleaning again" in gateway.log(), what="that this is said")

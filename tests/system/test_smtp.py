"""Mail by SMTP: to a real server, to one that has faults, and to ones that lie."""

import os
import re
import signal
import time

import pytest

import media
from mail_server import Liar, MailServer
from served import Served
from test_commands import on, verdicts  # noqa: F401 (on is a fixture)
from test_notifier import make_done, wait_for_notice
from workshop import FAULTS, Workshop, kill_after_each_step, wait_for

PATIENT = {"mail.timeout": "4s"}


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    made = MailServer(tmp_path_factory.mktemp("smtp") / "server").start()
    yield made
    made.close()


@pytest.fixture
def server(shared_server):
    """For tests that leave it as it is; its mails are told apart by their addresses."""
    return shared_server


@pytest.fixture
def own_server(tmp_path):
    made = MailServer(tmp_path / "server").start()
    yield made
    made.close()


def address(tmp_path, fault=""):
    """One that no other test has."""
    return f"{fault}{tmp_path.name.replace('_', '-')}@example.org"


def notice(workshop, conversion):
    return workshop.record(conversion)["notice"]


def wait_for_reason(workshop, conversion):
    """Why the mail did not go out yet."""
    return wait_for(lambda: notice(workshop, conversion)["error"], what="a reason")


# ---- What goes out ----


@pytest.mark.parametrize("port", ["submission", "tls"])
def test_a_mail_goes_out_over_tls_after_a_login(workshop, server, tmp_path, port):
    to = address(tmp_path)
    name = 'Größe "2" – 日本\r\nBcc: evil@example.org\r\n\r\n.\r\n.mp4'
    workshop.start(
        "notifier",
        {**server.options(port), "mail.from": "Täpe Deck <deck@tapedeck.example>",
         "gateway.public_url": "https://tapedeck.example"},
    )
    conversion = make_done(workshop, name=name, email=to)
    wait_for_notice(workshop, conversion, "sent")
    [mail], [envelope] = server.mails(to), server.envelopes(to)
    assert envelope["port"] == port and envelope["login"] is True
    assert envelope["from"] == "deck@tapedeck.example"
    assert not any("SMTPUTF8" in option for option in envelope["options"])
    assert not mail.defects and mail["Bcc"] is None
    assert mail["Message-ID"] == f"<{conversion}.done@tapedeck.example>"
    assert mail["From"].addresses[0].display_name == "Täpe Deck"
    assert mail["To"].addresses[0].addr_spec == to
    assert mail["Subject"].startswith('Your MP3 is ready: Größe "2" – 日本Bcc: evil@example.org')
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert f"https://tapedeck.example/c/{conversion}" in text and text.endswith("-- \r\nTapedeck\r\n")
    assert f'href="https://tapedeck.example/c/{conversion}"' in html
    assert workshop.mail_files() == []  # nothing is in the Maildir besides


def test_the_name_in_the_uri_is_what_the_server_is_greeted_with(workshop, server, tmp_path):
    to = address(tmp_path)
    options = server.options()
    options["smtp.uri"] += "/deck.example.org"
    workshop.start("notifier", options)
    wait_for_notice(workshop, make_done(workshop, email=to), "sent")
    assert server.envelopes(to)[0]["greeting"] == "deck.example.org"


def test_addresses_beyond_ascii_need_a_server_that_takes_them(workshop, server, tmp_path):
    to = "jürgen+" + address(tmp_path)
    workshop.start("notifier", server.options())
    conversion = make_done(workshop, email=to)
    wait_for_notice(workshop, conversion, "sent")
    assert "SMTPUTF8" in server.envelopes(to)[0]["options"]
    assert server.mails(to)[0]["Message-ID"].startswith(f"<{conversion}.done@")


def test_who_offers_no_smtputf8_gets_no_such_address(workshop):
    with Liar() as liar:
        workshop.start("notifier", liar.options())
        conversion = make_done(workshop, email="jürgen@example.org")
        wait_for_notice(workshop, conversion, "failed")
        assert "SMTPUTF8" in notice(workshop, conversion)["error"]
        assert not any(line.startswith(b"Subject") for line in liar.heard)


def test_an_address_cannot_become_a_command(workshop):
    with Liar() as liar:
        workshop.start("notifier", liar.options())
        for wrong in ["a@b>\r\nRCPT TO:<evil@example.org", "a@b> SIZE=1"]:
            conversion = make_done(workshop, email=wrong)
            wait_for_notice(workshop, conversion, "failed")
            assert "address" in notice(workshop, conversion)["error"]
        assert liar.heard == []


# ---- Refusals ----


@pytest.mark.parametrize("fault, code", [("refuse-550+", "550 5.1.1"), ("reject-554+", "554 5.6.0")])
def test_a_refusal_for_good_is_written_down_in_the_servers_words(
    workshop, server, tmp_path, fault, code
):
    to = address(tmp_path, fault)
    workshop.start("notifier", server.options())
    conversion = make_done(workshop, email=to)
    wait_for_notice(workshop, conversion, "failed")
    told = notice(workshop, conversion)
    assert told["attempts"] == 1
    assert code in told["error"] and "Ask postmaster@localhost: not here, not today" in told["error"]
    assert server.mails(to) == []


@pytest.mark.parametrize("fault", ["refuse-451", "reject-452"])
def test_a_temporary_refusal_is_tried_again_after_a_while(workshop, server, tmp_path, fault):
    to = address(tmp_path, f"once-{fault}+")
    workshop.start("notifier", server.options())
    conversion = make_done(workshop, email=to)
    wait_for_notice(workshop, conversion, "sent")
    taken_at, refused_at = server.taken_at(to), server.last_fault_at()
    assert taken_at - refused_at > 1  # the first backoff is 2 s
    assert notice(workshop, conversion)["attempts"] == 2
    assert notice(workshop, conversion)["error"] == ""
    assert len(server.mails(to)) == 1


def test_one_address_that_is_refused_for_now_holds_up_no_other(workshop, server, tmp_path):
    workshop.start("notifier", {**server.options(), "notifier.mails_at_once": 1})
    refused = make_done(workshop, email=address(tmp_path, "refuse-450+"))
    wait_for(lambda: notice(workshop, refused)["attempts"] == 1, what="an attempt")
    other = make_done(workshop, email=address(tmp_path))
    wait_for_notice(workshop, other, "sent")
    told = notice(workshop, refused)
    assert told["state"] in ("pending", "sending") and "450 4.1.1" in told["error"]


def test_the_user_is_shown_why_no_mail_came(tmp_path, server):
    account = ("refuse-550+anna@example.org", "correct horse")
    served = Served(tmp_path, [account])
    served.account = account
    try:
        served.start_serve(server.options())
        client = served.client(account)
        conversion = client.upload(media.clip(5).read_bytes()).json()["id"]
        served.wait_for_end(conversion)
        shown = wait_for(
            lambda: (lambda n: n if n["state"] == "failed" else None)(
                client.get(f"/v1/conversions/{conversion}").json()["notification"]
            ),
            what="a refused mail",
        )
        assert "550 5.1.1 <refuse-550+anna@example.org>: Ask postmaster" in shown["reason"]
    finally:
        served.close()


# ---- What the operator has to mend fails no mail ----


def check_that_mails_wait(workshop, options, words, to):
    """They do, whatever the number of looks, and the log says why; returns the conversion."""
    notifier = workshop.start("notifier", {**options, "notifier.mails_at_once": 1})
    conversion = make_done(workshop, email=to)
    wait_for(lambda: "cannot work now" in notifier.log(), what="a probe that fails")
    time.sleep(2.5)  # more than the first backoff
    told = notice(workshop, conversion)
    assert told["state"] == "pending" and told["attempts"] == 1, told
    assert words in told["error"]
    assert words in re.search("cannot work now.*", notifier.log())[0]
    assert "tapedeck:tapedeck" not in notifier.log()
    notifier.stop()
    return conversion


@pytest.mark.parametrize(
    "port, words",
    [
        ("stranger", "is not signed by one of the authorities (CA)"),
        ("other-host", "is for another host name"),
        ("expired", "has expired"),
        ("relay", "offers no login"),
    ],
)
def test_mails_wait_until_the_server_is_the_right_one(workshop, server, tmp_path, port, words):
    to = address(tmp_path)
    conversion = check_that_mails_wait(workshop, server.options(port), words, to)
    assert server.mails(to) == []
    workshop.start("notifier", server.options())
    wait_for_notice(workshop, conversion, "sent")
    assert len(server.mails(to)) == 1


def test_mails_wait_for_the_right_password(workshop, server, tmp_path):
    to = address(tmp_path)
    wrong = {**server.options(), "smtp.uri": server.urls["submission"].replace(":tapedeck@", ":x@")}
    conversion = check_that_mails_wait(workshop, wrong, "refuses the login: 535", to)
    workshop.start("notifier", server.options())
    wait_for_notice(workshop, conversion, "sent")


def test_a_login_that_is_asked_for_and_not_configured_is_the_operators(
    workshop, server, tmp_path
):
    to = address(tmp_path)
    workshop.start(
        "notifier",
        {**server.options(), "smtp.uri": server.urls["submission"].replace("tapedeck:tapedeck@", "")},
    )
    conversion = make_done(workshop, email=to)
    assert "wants a login" in wait_for_reason(workshop, conversion)
    assert notice(workshop, conversion)["state"] in ("pending", "sending")


# ---- Outcomes that are not known ----


@pytest.mark.parametrize("fault", ["drop", "late-20"])
def test_what_may_have_been_taken_is_sent_again_as_the_same_mail(
    workshop, server, tmp_path, fault
):
    to = address(tmp_path, f"once-{fault}+")
    workshop.start("notifier", {**server.options(), **PATIENT})
    conversion = make_done(workshop, email=to)
    assert "whether it took the mail is not known" in wait_for_reason(workshop, conversion)
    wait_for_notice(workshop, conversion, "sent")
    first, second = server.mails(to)
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].startswith(f"<{conversion}.done@")


def test_a_goodbye_that_is_not_answered_makes_no_second_mail(workshop, server, tmp_path):
    to = address(tmp_path, "mute+")
    workshop.start("notifier", server.options())
    wait_for_notice(workshop, make_done(workshop, email=to), "sent")
    time.sleep(3)  # a lease, and more
    assert len(server.mails(to)) == 1


def test_a_slow_server_is_waited_for_within_the_time_out_alone(workshop, server, tmp_path):
    slow, too_slow = (address(tmp_path, fault) for fault in ("slow-1+", "once-slow-20+"))
    workshop.start("notifier", {**server.options(), **PATIENT})
    conversions = [make_done(workshop, email=to) for to in (slow, too_slow)]
    assert "no answer in time" in wait_for_reason(workshop, conversions[1])
    for conversion, to in zip(conversions, (slow, too_slow)):
        wait_for_notice(workshop, conversion, "sent")
        assert len(server.mails(to)) == 1
    assert notice(workshop, conversions[0])["attempts"] == 1


def test_a_server_that_is_down_or_frozen_costs_time_alone(workshop, own_server, tmp_path):
    notifier = workshop.start("notifier", {**own_server.options(), "notifier.mails_at_once": 1})
    conversions = []

    def send(i):
        conversions.append(make_done(workshop, email=f"anna-{i}@example.org"))
        wait_for(lambda: notice(workshop, conversions[-1])["attempts"] == 1, what="an attempt")

    send(0)
    wait_for_notice(workshop, conversions[0], "sent")
    own_server.kill()
    send(1)
    wait_for(lambda: "cannot work now" in notifier.log(), what="a probe that fails")
    own_server.start()
    wait_for(lambda: "working again" in notifier.log(), what="a probe that succeeds")
    wait_for_notice(workshop, conversions[1], "sent")
    own_server.freeze()
    send(2)
    wait_for_reason(workshop, conversions[2])
    own_server.thaw()
    for i, conversion in enumerate(conversions):
        wait_for_notice(workshop, conversion, "sent")
        assert len(own_server.mails(f"anna-{i}@example.org")) == 1


def test_a_notifier_that_stood_still_sends_no_second_mail(workshop, server, tmp_path):
    """It stands still in the dialogue, until another has sent the mail."""
    to = address(tmp_path, "once-slow-20+")
    options = {**server.options(), **PATIENT, "notifier.mails_at_once": 1}
    frozen = workshop.start("notifier", options)
    conversion = make_done(workshop, email=to)
    wait_for(lambda: notice(workshop, conversion)["attempts"] == 1, what="an attempt")
    workshop.freeze(frozen)
    other = workshop.start("notifier", options)
    wait_for_notice(workshop, conversion, "sent")
    other.stop()
    os.kill(frozen.process.pid, signal.SIGCONT)
    wait_for(lambda: "not ours any more" in frozen.log(), what="that it gives up")
    assert len(server.mails(to)) == 1


@pytest.mark.skipif(not (FAULTS / "tapedeck").exists(), reason="no build with fault points")
def test_a_kill_after_any_step_makes_the_same_mail(tmp_path, server):
    def run(n, environment):
        to = address(tmp_path, f"n-{n}-")
        shop = Workshop(tmp_path / str(n))
        try:
            conversion = make_done(shop, email=to)
            shop.seed("message", "mp3", conversion)
            notifier = shop.start(
                "notifier", server.options(), build=FAULTS, environment=environment
            )

            def is_over():
                is_sent = notice(shop, conversion)["state"] == "sent"
                return not notifier.is_running() or is_sent

            wait_for(is_over, what="an end")
            notifier.wait_until_nothing_comes()
            was_killed = not notifier.is_running()
            notifier.kill()
            shop.start("notifier", server.options())
            wait_for_notice(shop, conversion, "sent")
            mails = server.mails(to)
            # Twice only where it died between the server's word and its own note.
            assert 1 <= len(mails) <= 2
            assert len({mail["Message-ID"] for mail in mails}) == 1
        finally:
            shop.close()
        return was_killed

    assert "notifier.after_send" in kill_after_each_step(run)


# ---- Servers that lie ----


def endless_line(connection):
    while True:
        connection.sendall(b"250-" + b"x" * 65536)


def endless_reply(connection):
    while True:
        connection.sendall(b"250-more\r\n" * 1000)


@pytest.mark.parametrize(
    "answers",
    [
        {"EHLO": endless_line},
        {"EHLO": endless_reply},
        {"greeting": endless_reply},
        {"RCPT": endless_reply},
        {"greeting": ""},
        {"greeting": "554 no service here"},
        {"EHLO": "502 what", "HELO": "550 go away"},
        {"greeting": b"\xff\xfe\x00\x00"},
        {"RCPT": b"450 \xff\xfe\x00\x1b[31m\r\x07 later"},
        {".": b"999 \xff"},
    ],
    ids=lambda answers: "-".join(answers),
)
def test_whatever_a_server_says_the_mail_waits_and_the_notifier_works(workshop, answers):
    with Liar(**answers) as liar:
        notifier = workshop.start("notifier", liar.options())
        conversion = make_done(workshop)
        assert wait_for_reason(workshop, conversion).isprintable()
        assert notice(workshop, conversion)["state"] in ("pending", "sending")
        assert notifier.is_running()
        memory = re.search(
            r"VmHWM:\s+(\d+) kB", open(f"/proc/{notifier.process.pid}/status").read()
        )
        assert int(memory[1]) < 100_000
    assert notifier.stop() == 0


def test_the_servers_words_are_made_fit_for_people(workshop):
    words = b"550-5.1.1 M\xc3\xbcller?\r\n550 \xff\x1b[31m<b>no\x07</b>" + b" at all" * 200
    with Liar(RCPT=words) as liar:
        workshop.start("notifier", liar.options())
        conversion = make_done(workshop)
        wait_for_notice(workshop, conversion, "failed")
        error = notice(workshop, conversion)["error"]
        assert "550 5.1.1 Müller? \ufffd[31m<b>no</b> at all" in error
        assert len(error.encode()) < 240


def test_the_servers_words_cannot_change_a_terminal(on):
    with Liar(greeting=b"554 \x1b[31mno\x07 \xff") as liar:
        verdict, text = ask(on, liar.options())
        assert verdict == "FAILED"
        assert "does not take it now: 554 [31mno \ufffd" in text


# ---- doctor, and what is configured ----


def ask(on, options, check="mail"):
    """What doctor says of it."""
    words = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
    on("migrate")
    result = on("doctor", *words)
    assert "tapedeck:tapedeck" not in result.stdout + result.stderr
    return verdicts(result)[check]


def test_doctor_knows_a_server_that_takes_mail(on, server):
    assert ask(on, server.options())[0] == "ok"
    assert ask(on, server.options("tls"))[0] == "ok"


@pytest.mark.parametrize(
    "port, words",
    [
        ("stranger", "is not signed by one of the authorities (CA)"),
        ("other-host", "is for another host name"),
        ("expired", "has expired"),
        ("relay", "offers no login"),
    ],
)
def test_doctor_says_what_is_wrong_with_a_server(on, server, port, words):
    verdict, text = ask(on, server.options(port))
    assert verdict == "FAILED" and words in text
    assert re.search(r"localhost:\d+: the mail server", text)


def test_doctor_says_what_is_wrong_with_the_configuration(on, server):
    def ask_with(**smtp):
        verdict, text = ask(on, {**server.options(), **{f"smtp.{k}": v for k, v in smtp.items()}})
        assert verdict == "FAILED"
        return text

    good = server.urls["submission"]
    assert "not signed by" in ask_with(ca_file="")
    assert "no certificate in PEM" in ask_with(ca_file=__file__)
    assert "refuses the login: 535" in ask_with(uri=good.replace(":tapedeck@", ":wrong@"))
    assert "refuses the login: 454" in ask_with(uri=good.replace("//tapedeck:", "//busy:"))
    assert "is it smtp:// there" in ask_with(uri=good.replace("smtp:", "smtps:"))
    assert "connect" in ask_with(uri="smtp://localhost:1")
    assert "resolve" in ask_with(uri="smtp://nowhere.invalid")
    assert "smtp.uri: not set" in ask_with(uri="")
    assert "smtps:// or smtp://" in ask_with(uri="http://localhost")
    assert "what no name of a host does" in ask_with(uri="smtp://localhost/a%0D%0Ab")


@pytest.mark.parametrize(
    "option, value", [("smtp.uri", ""), ("smtp.uri", "http://localhost"), ("smtp.ca_file", __file__)]
)
def test_a_mistake_in_the_configuration_ends_the_notifier(workshop, server, option, value):
    notifier = workshop.start("notifier", {**server.options(), option: value})
    assert notifier.process.wait(timeout=60) != 0
    assert f"{option}: " in notifier.log()


def test_without_tls_only_this_machine_is_talked_to(on, server):
    """127.1 is this machine too, but has no name by which that is known."""
    here = server.urls["plain"].replace("tapedeck:tapedeck@", "")
    there = here.replace("localhost", "127.1")
    assert ask(on, {**server.options(), "smtp.uri": here})[0] == "ok"
    verdict, text = ask(on, {**server.options(), "smtp.uri": there})
    assert verdict == "FAILED" and "no STARTTLS" in text
    assert ask(on, {**server.options(), "smtp.uri": there, "smtp.tls": "off"})[0] == "ok"
    assert ask(on, {**server.options(), "smtp.tls": "off", "smtp.uri": here}, "encryption")[0] == "ok"
    verdict, text = ask(on, {**server.options(), "smtp.tls": "off", "smtp.uri": there}, "encryption")
    assert verdict == "warning" and "mails and a password travel in the clear (smtp.tls=off)" in text

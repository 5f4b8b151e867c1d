"""The commands for operators."""

import csv
import os
import re
import shutil
import subprocess

import pytest
import requests

import media
from deck import BEN
from served import Served
from workshop import RELEASE, wait_for

COMMANDS = (
    "convert", "serve", "gateway", "auth", "converter", "notifier",
    "user", "keys", "queue", "backup", "migrate", "doctor", "config",
)
OK, FAILED, USAGE = 0, 1, 2


def tapedeck(*arguments, text="", environment=None):
    return subprocess.run(
        [str(RELEASE / "tapedeck"), *map(str, arguments)],
        input=text, capture_output=True, text=True, timeout=120,
        env={**os.environ, **(environment or {})},
    )


@pytest.fixture
def on(tmp_path):
    """A command on a data folder of its own."""
    data = tmp_path / "data"

    def run(*arguments, text=""):
        return tapedeck(*arguments, "--set", f"data.dir={data}", text=text)

    run.data = data
    return run


# ---- What all have in common ----


@pytest.mark.parametrize("arguments", [["--help"], ["config", "options"], ["migrate"]])
def test_what_could_not_be_told_is_no_success(arguments, tmp_path):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [RELEASE / "tapedeck", *arguments],
            stdout=full, stderr=subprocess.PIPE, timeout=60, cwd=tmp_path,
            env={**os.environ, "TAPEDECK_DATA_DIR": str(tmp_path)},
        )
    assert result.returncode == FAILED and b"standard output" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_refuses_what_it_does_not_know(command):
    shown = tapedeck(command, "--help")
    assert shown.returncode == OK and not shown.stderr
    assert f"tapedeck {command}" in shown.stdout
    wrong = tapedeck(command, "--nonsense")
    assert wrong.returncode == USAGE, wrong
    assert wrong.stderr and not wrong.stdout


def test_the_program_lists_its_commands_and_names_its_version():
    shown = tapedeck("--help")
    assert shown.returncode == OK
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", shown.stdout, re.MULTILINE), command
    assert re.fullmatch(r"tapedeck \d+\.\d+\.\d+\n", tapedeck("--version").stdout)
    assert tapedeck().returncode == USAGE
    assert tapedeck("help", "convert").stdout == tapedeck("convert", "--help").stdout
    assert tapedeck("help", "convrt").returncode == USAGE
    assert 'did you mean "backup"' in tapedeck("bakcup").stderr


# ---- The data folder ----

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def without_capabilities(*arguments):
    """As a user for whom a folder's mode counts."""
    return subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", RELEASE / "tapedeck", *arguments],
        capture_output=True, text=True, timeout=120, input="a good password\n",
    )


ON_DATA = (
    ("user", "list"), ("user", "disable", "x@example.org"), ("keys", "rotate"),
    ("queue", "dead", "list"), ("doctor", "--orphans"), ("backup", "copy"),
)
MAKES_DATA = (("user", "add", "x@example.org"), ("migrate",), ("serve",), ("auth",))


@pytest.mark.parametrize("arguments", ON_DATA)
def test_only_what_needs_a_new_data_folder_makes_one(on, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = on(*arguments)
    assert result.returncode == FAILED, result
    assert f"there is no folder {on.data}" in result.stderr
    assert list(tmp_path.iterdir()) == []


@needs_root
@pytest.mark.parametrize("arguments", ON_DATA + MAKES_DATA)
def test_nobody_makes_files_that_the_folders_user_cannot_read(on, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert on("migrate").returncode == OK
    before = sorted(tmp_path.rglob("*"))
    os.chown(on.data, 4321, 4321)
    result = on(*arguments, text="a good password\n")
    assert result.returncode == FAILED, result
    assert "sudo -u '#4321'" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@needs_root
@pytest.mark.parametrize("arguments", ON_DATA + MAKES_DATA)
def test_a_data_folder_that_cannot_be_written_to_is_named(on, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert on("migrate").returncode == OK
    on.data.chmod(0o500)
    result = without_capabilities(*arguments, "--set", f"data.dir={on.data}")
    assert result.returncode == FAILED, result
    assert f"{on.data} cannot be written to: Permission denied" in result.stderr


@needs_root
def test_a_database_that_cannot_be_opened_is_named_with_the_reason(on):
    assert on("migrate").returncode == OK
    (on.data / "users.db").chmod(0)
    result = without_capabilities("user", "list", "--set", f"data.dir={on.data}")
    assert result.returncode == FAILED
    assert re.search(rf"{on.data}/users.db: .*: Permission denied", result.stderr), result


@needs_root
def test_keys_are_made_by_their_folders_user(on, tmp_path):
    assert on("migrate").returncode == OK
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    os.chown(keys, 4321, 4321)
    result = on("keys", "rotate", "--set", f"auth.keys_dir={keys}")
    assert result.returncode == FAILED and "sudo -u '#4321'" in result.stderr
    assert list(keys.iterdir()) == []


def test_a_folder_of_other_things_becomes_no_data_folder(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to grandma").touch()
    for path, words in (
        (tmp_path / "letters", "holds other things"),
        (tmp_path / "letters" / "to grandma", "not a folder"),
    ):
        for command in (("serve",), ("migrate",), ("user", "add", "x@example.org")):
            result = tapedeck(*command, "--set", f"data.dir={path}")
            assert result.returncode == FAILED and words in result.stderr, result
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["to grandma"]
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    assert tapedeck("migrate", "--set", f"data.dir={tmp_path / 'disk'}").returncode == OK


def test_a_folder_of_everybodys_becomes_no_data_folder(on):
    on.data.mkdir()
    on.data.chmod(0o1777)
    result = on("serve")
    assert result.returncode == FAILED and "by everybody" in result.stderr
    assert list(on.data.iterdir()) == []


# ---- user ----


def users(on):
    lines = on("user", "list").stdout.splitlines()
    return {line.split()[-1]: " ".join(line.split()[1:-1]) for line in lines}


def test_accounts_are_made_listed_and_changed(on):
    made = on("user", "add", "Anna@Example.org", text="a good password\n")
    assert made.returncode == OK, made.stderr
    assert made.stdout == f"added anna@example.org (accounts: sqlite {on.data})\n"
    assert on("user", "add", "root@example.org", "--admin", text="a good password\n").returncode == OK
    assert users(on) == {"anna@example.org": "-", "root@example.org": "admin"}
    assert on("user", "disable", "anna@example.org").returncode == OK
    assert users(on)["anna@example.org"] == "disabled"
    assert on("user", "enable", "anna@example.org").returncode == OK
    assert on("user", "passwd", "anna@example.org", text="another password\n").returncode == OK
    assert on("user", "remove", "anna@example.org").returncode == OK
    assert users(on)["anna@example.org"] == "being removed"
    assert b"good password" not in b"".join(p.read_bytes() for p in on.data.glob("users.db*"))


@pytest.mark.parametrize(
    "arguments, text, words",
    [
        (("add", "no-email"), "a good password\n", "name@example.org"),
        (("add", "x@example.org"), "short\n", "8"),
        (("add", "x@example.org"), "", "standard input"),
        (("passwd", "nobody@example.org"), "a good password\n", "nobody@example.org"),
        (("disable", "nobody@example.org"), "", "nobody@example.org"),
        (("remove", "nobody@example.org"), "", "nobody@example.org"),
    ],
)
def test_what_is_wrong_with_an_account_is_said(on, arguments, text, words):
    assert on("migrate").returncode == OK
    result = on("user", *arguments, text=text)
    assert result.returncode == FAILED and words in result.stderr, result
    assert users(on) == {}


def test_an_account_is_not_made_twice(on):
    assert on("user", "add", "x@example.org", text="a good password\n").returncode == OK
    again = on("user", "add", "X@example.org", text="a good password\n")
    assert again.returncode == FAILED and "x@example.org" in again.stderr


def test_accounts_are_imported_and_what_is_wrong_is_named_by_its_line(on, tmp_path):
    file = tmp_path / "accounts.csv"
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows(
            [("email", "password"), ("a@example.org", 'with "quotes", and commas'),
             ("b@example.org", "short"), ("c@example.org", "a good password")]
        )
    result = on("user", "import", file)
    assert result.returncode == FAILED
    assert result.stdout == "2 added, 0 existed already, 1 wrong\n"
    assert "line 3" in result.stderr
    assert set(users(on)) == {"a@example.org", "c@example.org"}
    assert on("user", "import", file).stdout == "0 added, 2 existed already, 1 wrong\n"


def test_an_email_that_begins_with_a_dash_stands_after_two(on):
    def user(*arguments):
        options = ("--set", f"data.dir={on.data}")
        return tapedeck("user", *options, *arguments, text="a good password\n").returncode

    assert user("add", "-x@example.org") == USAGE
    assert user("add", "--admin", "--", "-x@example.org") == OK
    assert set(users(on)) == {"-x@example.org"}
    assert user("disable", "--", "-x@example.org") == OK
    assert user("remove", "--") == USAGE


# ---- config ----


def test_the_configuration_is_shown_with_the_source_of_each_value(tmp_path):
    file = tmp_path / "tapedeck.ini"
    file.write_text("[gateway]\nlisten = 127.0.0.1:1\n[limits]\nduration_max = 1h\n")
    result = tapedeck(
        "config", "show", "--config", file, "--set", "converter.jobs=3",
        environment={"TAPEDECK_LIMITS_DURATION_MAX": "2h"},
    )
    assert result.returncode == OK
    shown = {line.split(" = ")[0]: line for line in result.stdout.splitlines() if " = " in line}
    assert re.search(r"= 127.0.0.1:1 +# .*tapedeck.ini", shown["gateway.listen"])
    assert re.search(r"= 2h +# .*environment", shown["limits.duration_max"])
    assert re.search(r"= 3 +# .*--set", shown["converter.jobs"])
    assert re.search(r"= 30s +# .*default", shown["recovery.lease"])


def test_a_misspelled_option_is_an_error_with_a_suggestion(tmp_path):
    file = tmp_path / "tapedeck.ini"
    file.write_text("[gateway]\nlistne = 127.0.0.1:1\n")
    result = tapedeck("config", "show", "--config", file)
    assert result.returncode == FAILED
    assert "gateway.listne" in result.stderr and "gateway.listen" in result.stderr
    result = tapedeck("convert", "--config", file, "talk.mp4")
    assert result.returncode == FAILED and "gateway.listen" in result.stderr
    result = tapedeck("config", "show", environment={"TAPEDECK_GATEWAY_LISTNE": "x"})
    assert result.returncode == OK and "TAPEDECK_GATEWAY_LISTNE" in result.stderr


@pytest.mark.parametrize(
    "assignment, words",
    [
        ("gateway.listen=foo", '"foo" is no address'),
        ("ops.listen=foo", '"foo" is no address'),
        ("auth.listen=unix:", "unix:"),
        ("gateway.auth_url=ftp://x", "is no URL"),
        ("gateway.public_url=ftp://x", "http://"),
        ("mail.from=notanaddress", "address"),
        ("mail.reply_to=notanaddress", "address"),
        ("data.dir=", "name a folder"),
        ("log.level=loud", "expected one of error"),
        ("mail.timeout=99999999999999d", "too large"),
    ],
)
def test_what_no_service_could_use_is_refused_at_once(assignment, words):
    result = tapedeck("config", "show", "--set", assignment)
    assert result.returncode == FAILED, result
    assert assignment.split("=")[0] in result.stderr and words in result.stderr


def test_the_configuration_is_shown_section_by_section():
    sections = [line.split(".")[0] for line in tapedeck("config", "show").stdout.splitlines()]
    runs = [section for i, section in enumerate(sections) if sections[i - 1 : i] != [section]]
    assert len(runs) == len(set(runs))


# ---- keys, migrate ----


def test_a_new_key_signs_and_the_old_tokens_stay_good(served):
    served.start_serve()
    keys = served.data / "keys"
    [old] = keys.iterdir()
    token = served.token
    result = served.command("keys", "rotate")
    assert result.returncode == OK and result.stdout.strip()
    assert len(list(keys.iterdir())) == 2 and old.exists()
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.iterdir())
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{served.url}/v1/conversions", headers=headers).status_code == 200
    assert tapedeck("keys").returncode == USAGE


def test_stores_are_migrated_again_and_again(on):
    for _ in range(2):
        result = on("migrate")
        assert result.returncode == OK, result.stderr
        assert result.stdout.splitlines() == [
            f"{store}: sqlite {on.data}, of this version's schema"
            for store in ("records", "messages", "accounts")
        ]
    assert {path.name for path in on.data.glob("*.db")} == {"records.db", "queue.db", "users.db"}


# ---- queue ----


def test_dead_letters_are_listed_and_dropped(workshop):
    def on(*arguments):
        return tapedeck(*arguments, "--set", f"data.dir={workshop.data}")

    assert on("queue", "dead", "list").stdout == "There are no dead letters.\n"
    for body in ("first \x1b[31m", "second", "third"):
        workshop.seed("publish", "video", body)
    workshop.seed("publish", "mp3", "fourth")
    workshop.start("converter")
    workshop.start("notifier")
    wait_for(lambda: len(workshop.dead("video")) == 3 and workshop.dead("mp3"), what="dead letters")

    shown = on("queue", "dead", "list").stdout
    assert "\x1b" not in shown and "first .[31m" in shown
    ids = re.findall(r"^\S+Z  ((?:video|mp3)/\S+)  \S", shown, re.MULTILINE)
    assert [i.split("/")[0] for i in ids] == ["video"] * 3 + ["mp3"]
    assert on("queue", "dead", "drop", ids[1]).stdout == "dropped 1\n"
    left = on("queue", "dead", "list").stdout
    assert "first" in left and "second" not in left and "third" in left
    again = on("queue", "dead", "drop", ids[1])
    assert again.returncode == FAILED and ids[1] in again.stderr
    assert on("queue", "dead", "drop").returncode == USAGE
    assert on("queue", "dead", "drop", "--all").stdout == "dropped 3\n"
    assert on("queue", "dead", "list").stdout == "There are no dead letters.\n"


# ---- backup ----


def restored(served, copy, folder):
    """Another system, on the copy."""
    other = Served(folder, accounts=())
    shutil.rmtree(other.data)
    shutil.copytree(copy, other.data)
    return other.start_serve()


def test_a_copy_of_the_running_system_is_a_whole_system(served, tmp_path):
    served.start_serve()
    client = served.client()
    done = client.upload(media.clip(5).read_bytes(), query="?name=one.mp4").json()["id"]
    mp3 = served.wait_for_end(done)["mp3"]
    wait_for(lambda: served.mails_about(done), what="the email")
    sound = client.get(f"/v1/conversions/{done}/mp3").content
    running = client.upload(media.long_clip(60).read_bytes(), query="?name=two.mp4").json()["id"]
    served.wait_for_state(running, "converting")
    copy = tmp_path / "backups" / "copy"
    copy.parent.mkdir()
    result = served.command("backup", str(copy))
    assert result.returncode == OK, result.stderr
    assert re.search(r"2 conversions, 2 videos, 1 MP3s", result.stdout)
    assert copy.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    # What happens now is not in the copy; and what is in it does not change with the original.
    assert client.delete(f"/v1/conversions/{done}").status_code == 204
    wait_for(lambda: served.blobs("mp3") - {mp3["id"]} == served.blobs("mp3"), what="its removal")
    later = client.upload(media.clip(5).read_bytes()).json()["id"]
    served.serve.stop()

    other = restored(served, copy, tmp_path / "other")
    try:
        other._token = served.token  # the keys are the same
        assert other.client(BEN)
        assert other.client().get(f"/v1/conversions/{done}/mp3").content == sound
        assert other.client().get(f"/v1/conversions/{later}").status_code == 404
        assert other.wait_for_end(running, seconds=240)["state"] == "done"
        assert len(other.mails_about(done)) == 1
        wait_for(lambda: other.mails_about(running), what="the email")
    finally:
        other.close()


def test_a_backup_never_writes_over_another(on, tmp_path):
    assert on("migrate").returncode == OK
    copy = tmp_path / "copy"
    assert on("backup", copy).returncode == OK
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    again = on("backup", f"{copy}/")
    assert again.returncode == FAILED and "not empty" in again.stderr
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert on("backup").returncode == USAGE


def test_a_backup_of_nothing_leaves_nothing(on, tmp_path):
    result = on("backup", tmp_path / "copy")
    assert result.returncode == FAILED and result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_a_cluster_says_what_servers_have(on, tmp_path):
    options = [
        "stores.records=mongodb", "stores.blobs=mongodb", "mongodb.uri=mongodb://u:pass@localhost:1/",
        "stores.users=mysql", "mysql.uri=mysql://u:pass@127.0.0.1:2/tapedeck",
        "stores.queue=rabbitmq", "rabbitmq.uri=amqp://u:pass@localhost:3/",
    ]
    result = on("backup", tmp_path / "copy", *(word for o in options for word in ("--set", o)))
    assert result.returncode == FAILED and list(tmp_path.iterdir()) == []
    for words in (
        "records: mongodb localhost:1\n", "videos and MP3s: mongodb localhost:1\n",
        "accounts: mysql 127.0.0.1:2\n", "messages: rabbitmq localhost:3\n", "docs/operations.md",
        str(on.data),
    ):
        assert words in result.stderr, result.stderr
    assert "mail:" not in result.stderr and "is data.dir right" not in result.stderr
    assert "pass" not in result.stderr


def test_a_backup_that_failed_leaves_nothing(on, tmp_path):
    assert on("migrate").returncode == OK
    spoil_blobs(on)
    for _ in range(2):
        result = on("backup", tmp_path / "copy")
        assert result.returncode == FAILED and "blobs" in result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_backup_needs_a_name(on, tmp_path, monkeypatch):
    assert on("migrate").returncode == OK
    monkeypatch.chdir(tmp_path)
    assert on("backup", "").returncode == USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_is_done_to_a_copys_keys_and_mails_is_not_done_to_the_system(on, tmp_path):
    assert on("migrate").returncode == OK
    for name in ("gateway.key", "keys/a.key.json", "mail/new/1"):
        (on.data / name).parent.mkdir(parents=True, exist_ok=True)
        (on.data / name).write_text("small")
    assert on("backup", tmp_path / "copy").returncode == OK
    for name in ("gateway.key", "keys/a.key.json", "mail/new/1"):
        assert not (tmp_path / "copy" / name).samefile(on.data / name)
        assert (tmp_path / "copy" / name).read_text() == "small"


# ---- doctor ----


def verdicts(result):
    """{check: (verdict, what was found and advised)}."""
    found, name = {}, None
    for line in result.stdout.splitlines():
        verdict, this, text = line[:7].strip(), line[9:20].strip(), line[22:]
        name = this or name
        before = found.get(name, (verdict, ""))
        found[name] = (before[0], before[1] + text)
    return found


def test_a_system_that_runs_is_well(served):
    served.start_serve()
    result = served.command("doctor", "--set", "limits.disk_free_min=0")
    assert result.returncode == OK, result
    found = verdicts(result)
    unused = {name: found.pop(name) for name in ("mysql tls", "mysql login", "mysql host")}
    assert set(unused.values()) == {("-", "no accounts in MySQL")}
    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert len(found) == 12
    # Asking changes nothing.
    assert served.serve.stop() == 0


def spoil_rights(served):
    served.data.chmod(0o755)


def spoil_records(served):
    for path in served.data.glob("records.db*"):
        path.unlink()
    (served.data / "records.db").write_bytes(b"no database at all" * 1000)


def spoil_accounts(served):
    for path in served.data.glob("users.db*"):
        path.unlink()


def spoil_blobs(served):
    shutil.rmtree(served.data / "blobs", ignore_errors=True)
    (served.data / "blobs").write_text("a file where a folder should be")


def spoil_mail(served):
    shutil.rmtree(served.data / "mail", ignore_errors=True)
    (served.data / "mail").write_text("a file where a folder should be")


def spoil_gateway_key(served):
    (served.data / "gateway.key").write_text("short\n")


def open_gateway_key(served):
    (served.data / "gateway.key").write_text("a-secret-that-is-long-enough\n")
    (served.data / "gateway.key").chmod(0o644)


def open_signing_key(served):
    assert served.command("keys", "rotate").returncode == OK
    for path in (served.data / "keys").iterdir():
        path.chmod(0o640)


def spoil_signing_key(served):
    (served.data / "keys").mkdir()
    (served.data / "keys" / "a.key.json").write_text("no key")


def nothing(_):
    pass


@pytest.mark.parametrize(
    "spoil, options, check, words",
    [
        (spoil_rights, [], "data folder", "chmod 700"),
        (spoil_records, [], "records", "put a backup in its place"),
        (spoil_accounts, [], "accounts", "tapedeck migrate"),
        (spoil_blobs, [], "blobs", "blobs"),
        (spoil_mail, [], "mail", "mail"),
        (spoil_gateway_key, [], "keys", "gateway.key: a line of 16 to 256"),
        (open_gateway_key, [], "keys", "its mode is 644, not 600"),
        (nothing, ["auth.gateway_key_file=/no/such"], "keys", "/no/such"),
        (open_signing_key, [], "keys", "its mode is 640, not 600"),
        (spoil_signing_key, [], "keys", "a.key.json"),
        (nothing, ["limits.disk_free_min=900TiB"], "disk", "limits.disk_free_min"),
        (nothing, ["gateway.auth_url=http://127.0.0.1:1"], "auth", "127.0.0.1:1"),
        (nothing, ["gateway.auth_url=https://localhost:1"], "auth", "localhost:1"),
        (nothing, ["gateway.listen=0.0.0.0:8080"], "encryption", "https://"),
        (nothing, ["gateway.public_url=http://deck.example"], "encryption", "http://deck.example"),
        (nothing, ["gateway.public_url=http://127.deck.example"], "encryption", "127.deck.example"),
    ],
)
def test_what_is_broken_is_found_with_advice(served, spoil, options, check, words):
    spoil(served)
    arguments = [word for option in options for word in ("--set", option)]
    if check != "disk":
        arguments += ["--set", "limits.disk_free_min=0"]
    result = served.command("doctor", *arguments)
    found = verdicts(result)
    assert result.returncode == FAILED, result
    assert found[check][0] == "FAILED" and words in found[check][1], found
    others = {name for name, (verdict, _) in found.items() if verdict == "FAILED"} - {check}
    assert others == set(), found


def as_nobody(served, *arguments):
    """A command of another user than the data folder's: ours, on a folder of somebody else."""
    os.chown(served.data, 4321, 4321)
    return served.command(*arguments)


@needs_root
def test_another_user_is_told_what_to_run_instead(served):
    result = as_nobody(served, "doctor", "--set", "limits.disk_free_min=1GiB")
    found = verdicts(result)
    assert found["data folder"][0] == "FAILED"
    assert (
        "sudo -u '#4321' tapedeck doctor --set 'limits.disk_free_min=1GiB' "
        f"--set 'data.dir={served.data}'" in found["data folder"][1]
    )
    assert found["auth"] == ("-", "see data folder")


def test_asking_makes_nothing(on):
    assert on("migrate").returncode == OK
    (on.data / "lock").unlink(missing_ok=True)
    on("doctor")
    assert not (on.data / "lock").exists()


@needs_root
def test_a_disk_that_is_read_only_is_found(served):
    served.data.chmod(0o500)
    result = without_capabilities("doctor", "--set", f"data.dir={served.data}")
    found = verdicts(result)
    assert found["data folder"][0] == "FAILED"
    assert "cannot be written to" in found["data folder"][1] and "migrate" not in result.stdout


@needs_root
def test_a_folder_that_no_store_needs_may_be_read_only(tmp_path):
    """As in the image, under a service of a cluster."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    options = (
        f"data.dir={folder}", "stores.records=mongodb", "stores.blobs=mongodb",
        "mongodb.uri=mongodb://127.0.0.1:1/", "stores.queue=rabbitmq", "rabbitmq.uri=amqp://127.0.0.1:1/",
    )
    words = [word for option in options for word in ("--set", option)]
    found = verdicts(without_capabilities("doctor", "converter", *words))
    assert found["data folder"] == ("-", "all stores are on servers")


# What a mount of FUSE says of itself.
FUSE = """
#include <sys/vfs.h>
int statfs64(const char *path, struct statfs64 *status)
{
    (void)path;
    *status = (struct statfs64){.f_type = 0x65735546, .f_bavail = 1 << 30, .f_bsize = 4096};
    return 0;
}
"""


def test_a_folder_on_fuse_may_be_well(on, tmp_path):
    assert on("migrate").returncode == OK
    (tmp_path / "fuse.c").write_text(FUSE)
    command = ["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", "fuse.so", "fuse.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    result = tapedeck(
        "doctor", "--set", f"data.dir={on.data}",
        environment={"LD_PRELOAD": str(tmp_path / "fuse.so")},
    )
    verdict, found = verdicts(result)["data folder"]
    assert verdict == "warning" and "FUSE" in found


def test_a_missing_worker_is_found(served, tmp_path):
    alone = tmp_path / "alone" / "tapedeck"
    alone.parent.mkdir()
    shutil.copy(RELEASE / "tapedeck", alone)
    result = subprocess.run(
        [alone, "doctor", "--set", f"data.dir={served.data}", "--set", "limits.disk_free_min=0"],
        capture_output=True, text=True,
    )
    assert result.returncode == FAILED
    assert verdicts(result)["sandbox"][0] == "FAILED"
    assert "tapedeck-worker" in verdicts(result)["sandbox"][1]


def test_what_is_plain_behind_a_proxy_is_well(served):
    result = served.command(
        "doctor", "--set", "limits.disk_free_min=0", "--set", "gateway.listen=0.0.0.0:8080",
        "--set", "gateway.public_url=https://deck.example",
    )
    assert result.returncode == OK, result
    assert verdicts(result)["encryption"] == ("ok", "nothing travels in the clear to others by HTTP")


@pytest.mark.parametrize("service, verdict", [
    ("gateway", "FAILED"), ("auth", "ok"), ("converter", "ok"), ("notifier", "ok"),
])
def test_whether_the_gateway_is_behind_a_proxy_its_own_doctor_says(served, service, verdict):
    """gateway.public_url is often set for it alone."""
    result = served.command("doctor", service, "--set", "gateway.listen=0.0.0.0:8080")
    assert verdicts(result)["encryption"][0] == verdict, result


@pytest.mark.parametrize("host", ["127.example.org", "127.0.0.1.example.org", "localhost.example"])
def test_a_name_that_begins_like_this_machine_is_another_host(served, host):
    result = served.command("doctor", "--set", f"gateway.public_url=http://{host}")
    verdict, found = verdicts(result)["encryption"]
    assert verdict == "FAILED" and host in found
    result = served.command("doctor", "--set", f"gateway.auth_url=http://{host}:5000")
    verdict, found = verdicts(result)["encryption"]
    assert verdict == "warning" and f"{host}:5000" in found


def test_orphans_are_found_both_ways(served):
    served.start_serve()
    ended = served.wait_for_end(served.client().upload(media.clip(5).read_bytes()).json()["id"])
    waiting = served.seed("upload", media.clip(5), "message=off", "due_ms=3600000").strip()
    result = served.command("doctor", "--orphans")
    assert (result.returncode, result.stdout) == (
        OK, "Every blob has its record, and every record its blobs.\n"
    )
    video = served.seed("blob", "video", media.clip(5)).strip()
    mp3 = served.seed("blob", "mp3", media.clip(5)).strip()
    for name, key in (("mp3s", ended["mp3"]["id"]), ("videos", waiting)):
        for path in (served.data / "blobs" / name).rglob(f"{key}*"):
            path.unlink()
    result = served.command("doctor", "--orphans")
    assert result.returncode == FAILED
    assert set(result.stdout.splitlines()) == {
        f"video {video} has no record",
        f"MP3 {mp3} has no record",
        f"conversion {ended['id']} (done) has no MP3 {ended['mp3']['id']}",
        f"conversion {waiting} (queued) has no video",
    }

"""deploy/mysql: takes a server that lets everybody in to one that does not. Each hole is tried on
both, so that a hole that was never there is noticed too."""

import os
import re
import shutil
import socket
import stat
import subprocess

import pytest
import requests

from deck import ANNA, Deck
from mariadb import FreshMariaDb
from workshop import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="deploy/mysql/secure is root's")
DEPLOY = ROOT / "deploy" / "mysql"
OK, FAILED = 0, 1
ADDRESS, ELSEWHERE = "127.0.0.2", "127.0.0.1"


class Place:
    """A server, and what `secure` made for it."""

    def __init__(self):
        self.server = FreshMariaDb().start()
        self.secrets = self.server.folder / "secrets"
        self.tls = self.server.folder / "tls"
        self.logs = self.server.folder / "logs"
        self.host = ELSEWHERE

    def run(self, *more, environment=None):
        return subprocess.run(
            [DEPLOY / "secure", "--address", ADDRESS, "--from", "127.0.0.%",
             "--port", str(self.server.port), "--secrets", self.secrets, "--tls", self.tls,
             "--config", self.server.config_folder / "90-tapedeck.cnf",
             "--files", self.server.folder / "files", "--logs", self.logs,
             "--socket", self.server.socket, "--restart", self.server.restart, *more],
            capture_output=True, text=True, timeout=300,
            env={**os.environ, **(environment or {})},
        )

    def secure(self, *more):
        result = self.run(*more)
        assert result.returncode == 0, result.stdout + result.stderr
        self.host = ADDRESS
        return result.stdout

    def uri(self, role):
        return (self.secrets / f"{role}.uri").read_text().strip()

    def account(self, role):
        found = re.fullmatch(r"mysqls://([^:]+):([^@]+)@127\.0\.0\.2:\d+/tapedeck", self.uri(role))
        return found.groups()

    def client(self, user, password, sql, *options, host=None, database=""):
        """By TCP, with TLS where the server has it."""
        host = host or self.host
        tls = [f"--ssl-ca={self.tls}/ca.pem", "--ssl-verify-server-cert"]
        return subprocess.run(
            ["mariadb", "--no-defaults", "--protocol=tcp", f"--host={host}",
             f"--port={self.server.port}", f"--user={user}", *options,
             *(tls if self.tls.exists() and "--skip-ssl" not in options else []), "-N", "-B",
             "-e", sql, *([database] if database else [])],
            capture_output=True, text=True, timeout=90,
            env={**os.environ, "MYSQL_PWD": password},
        )

    def by(self, role, sql, *options, **more):
        return self.client(*self.account(role), sql, *options, database="tapedeck", **more)


@pytest.fixture(scope="module")
def fresh():
    made = Place()
    yield made
    made.server.close()


@pytest.fixture(scope="module")
def secured():
    made = Place()
    try:
        made.secure()
        yield made
    finally:
        made.server.close()


@pytest.fixture(scope="module")
def deck(secured, tmp_path_factory):
    """Tapedeck on it: migrated, with an account."""
    made = MysqlDeck(tmp_path_factory.mktemp("deck"), secured)
    made.must("migrate", **made.migration)
    made.must("user", "add", ANNA[0], text=f"{ANNA[1]}\n")
    yield made
    made.close()


class MysqlDeck(Deck):
    def __init__(self, folder, place):
        super().__init__(folder, accounts=())
        self.settings = {
            "stores.users": "mysql",
            "mysql.uri_file": place.secrets / "app.uri",
            "mysql.ca_file": place.tls / "ca.pem",
        }
        self.migration = {"mysql.migrate_uri_file": place.secrets / "migrate.uri"}

    def run(self, *arguments, text="", **more):
        options = [f"{name}={value}" for name, value in {**self.settings, **more}.items()]
        return self.command(
            *arguments, *(word for option in options for word in ("--set", option)), text=text
        )

    def must(self, *arguments, **more):
        result = self.run(*arguments, **more)
        assert result.returncode == OK, result.stderr
        return result.stdout

    def can_log_in(self):
        if self.auth is None:
            self.start_auth(self.settings)
        return requests.post(f"{self.auth_url}/login", auth=ANNA).status_code == 200


# ---- Holes: what each does is possible on a fresh server, and not on a secured one ----


def anybody_logs_in(place):
    return place.client("whoever", "", "SELECT 1").returncode == 0


def root_logs_in_from_the_network(place):
    return place.client("root", "", "SELECT 1").returncode == 0


def root_logs_in_from_this_machine_as_anybody(place):
    """By the socket, as another user of the system."""
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "mariadb", "--no-defaults",
         "-S", place.server.socket, "-u", "root", "-e", "SELECT 1"], capture_output=True,
    ).returncode == 0


def anybody_uses_the_test_database(place):
    made = subprocess.run(
        ["mariadb", "--no-defaults", "-S", place.server.socket, "-u", "whoever", "-e",
         "CREATE TABLE IF NOT EXISTS test.t (n INT)"], capture_output=True,
    )
    return made.returncode == 0


def there_is_a_test_database(place):
    return "test" in place.server.sql("SHOW DATABASES").split()


def it_listens_on_other_networks(place):
    try:
        socket.create_connection((ELSEWHERE, place.server.port), timeout=10).close()
    except OSError:
        return False
    return True


def with_account(place, work):
    """An account that does not ask for TLS by itself. An anonymous one would come before a pattern of
    hosts: an address is named."""
    password = "A-long-Password-1"
    place.server.sql(f"CREATE USER other@'127.0.0.1' IDENTIFIED BY '{password}'")
    try:
        assert place.client("other", password, "SELECT 1").returncode == 0
        return work(password)
    finally:
        place.server.sql("DROP USER other@'127.0.0.1'; FLUSH PRIVILEGES")


def passwords_travel_in_the_clear(place):
    return with_account(
        place,
        lambda password: place.client("other", password, "SELECT 1", "--skip-ssl").returncode == 0,
    )


def a_simple_password_is_taken(place):
    made = place.server.client("CREATE USER simple@'127.%' IDENTIFIED BY 'password1'")
    place.server.sql("DROP USER IF EXISTS simple@'127.%'")
    return made.returncode == 0


def a_hash_of_an_unseen_password_is_taken(place):
    made = place.server.client(
        "CREATE USER hash@'127.%' IDENTIFIED BY PASSWORD"
        " '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'")
    place.server.sql("DROP USER IF EXISTS hash@'127.%'")
    return made.returncode == 0


def wrong_passwords_lock_nothing(place):
    def guess(password):
        for _ in range(25):
            assert place.client("other", "wrong", "SELECT 1").returncode != 0
        return place.client("other", password, "SELECT 1").returncode == 0

    return with_account(place, guess)


def the_server_reads_files(place):
    return "root:" in place.server.sql("SELECT LOAD_FILE('/etc/passwd')")


def the_server_writes_files(place):
    target = place.server.data / "written"
    made = place.server.client(f"SELECT 'x' INTO OUTFILE '{target}'")
    return made.returncode == 0


def clients_files_are_loaded(place):
    place.server.sql("CREATE DATABASE IF NOT EXISTS loaded; CREATE TABLE loaded.t (line TEXT)")
    try:
        made = place.server.client(
            "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE loaded.t", "--local-infile=1")
        return made.returncode == 0
    finally:
        place.server.sql("DROP DATABASE loaded")


def others_enter_the_data_folder(place):
    return stat.S_IMODE(place.server.data.stat().st_mode) != 0o700


def nobody_writes_down_who_logged_in(place):
    place.client("an_intruder", "x", "SELECT 1")
    log = place.logs / "audit.log"
    return not (log.exists() and "an_intruder" in log.read_text(errors="replace"))


HOLES = [
    anybody_logs_in, root_logs_in_from_the_network, root_logs_in_from_this_machine_as_anybody,
    anybody_uses_the_test_database, there_is_a_test_database, it_listens_on_other_networks,
    passwords_travel_in_the_clear, a_simple_password_is_taken,
    a_hash_of_an_unseen_password_is_taken, wrong_passwords_lock_nothing, the_server_reads_files,
    the_server_writes_files, clients_files_are_loaded, others_enter_the_data_folder,
    nobody_writes_down_who_logged_in,
]


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.__name__)
def test_a_hole_is_closed(hole, fresh, secured):
    assert hole(fresh), "it was never open"
    assert not hole(secured)


# ---- One account a purpose ----


def refused(result):
    return result.returncode != 0 and (
        "denied" in result.stderr or "Access" in result.stderr
    )


@pytest.mark.parametrize("sql", [
    "DROP TABLE user", "TRUNCATE TABLE user", "ALTER TABLE user ADD x INT", "CREATE TABLE x (n INT)",
    "CREATE INDEX i ON user (admin)", "UPDATE schema_version SET version = 0",
    "DELETE FROM schema_version", "INSERT INTO schema_version VALUES (2, 1, 1)",
    "SELECT * FROM mysql.global_priv", "CREATE USER x@'%'", "GRANT SELECT ON user TO tapedeck_backup",
    "SELECT 1 INTO OUTFILE '/tmp/tapedeck-outfile'", "LOCK TABLES user WRITE", "SHUTDOWN",
    "SET GLOBAL general_log = ON", "CREATE TRIGGER t AFTER INSERT ON user FOR EACH ROW SET @x = 1",
    "CREATE VIEW v AS SELECT * FROM user", "CREATE DATABASE x", "FLUSH PRIVILEGES",
])
def test_the_services_account_may_not(secured, deck, sql):
    assert refused(secured.by("app", sql)), sql


def test_the_services_account_may_use_its_rows(secured, deck):
    result = secured.by(
        "app",
        "SELECT count(*) FROM user; UPDATE user SET epoch = epoch WHERE id = 'x';"
        "DELETE FROM user WHERE id = 'x'; SELECT version FROM schema_version")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("sql", [
    "SELECT * FROM mysql.global_priv", "CREATE USER x@'%'", "CREATE DATABASE x", "FLUSH PRIVILEGES",
    "SELECT LOAD_FILE('/etc/passwd') FROM mysql.user", "GRANT SELECT ON user TO tapedeck_backup",
])
def test_the_migration_s_account_may_not(secured, deck, sql):
    assert refused(secured.by("migrate", sql)), sql


@pytest.mark.parametrize("sql", [
    "DELETE FROM user", "UPDATE user SET admin = 1", "INSERT INTO schema_version VALUES (2, 1, 1)",
    "DROP TABLE user", "CREATE TABLE x (n INT)",
])
def test_the_backup_s_account_may_not(secured, deck, sql):
    assert refused(secured.by("backup", sql)), sql


def test_no_account_logs_in_without_tls(secured):
    for role in ("app", "migrate", "backup"):
        assert secured.by(role, "SELECT 1").returncode == 0
        assert secured.by(role, "SELECT 1", "--skip-ssl").returncode != 0


def test_accounts_are_for_the_services_network_alone(secured):
    hosts = secured.server.sql(
        "SELECT DISTINCT Host FROM mysql.user WHERE User LIKE 'tapedeck%'")
    assert hosts == "127.0.0.%"


def test_secrets_are_for_root_alone(secured):
    for path in (*secured.secrets.rglob("*"), secured.secrets):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.suffix == ".pem", path
    assert stat.S_IMODE((secured.tls / "server.key").stat().st_mode) == 0o400


def test_the_audit_log_has_no_values(secured, deck):
    log = (secured.logs / "audit.log").read_text(errors="replace")
    assert "CREATE TABLE IF NOT EXISTS user" in log and "tapedeck_app" in log
    assert "argon2" not in log and ANNA[0] not in log
    for role in ("app", "migrate", "backup"):
        assert secured.account(role)[1] not in log


def grants_of(place):
    return sorted(place.server.sql("SHOW GRANTS FOR tapedeck_app@'127.0.0.%'").splitlines())


def test_securing_again_changes_nothing(secured, deck):
    before = {role: secured.uri(role) for role in ("app", "migrate", "backup")}
    grants = grants_of(secured)
    assert "new password" not in secured.secure()
    assert {role: secured.uri(role) for role in before} == before
    assert grants_of(secured) == grants
    assert deck.can_log_in()


def test_another_network_takes_the_place_of_the_first(secured, deck):
    told = secured.secure("--from", "127.0.0.0/255.255.255.0")
    assert "new password" in told
    hosts = secured.server.sql("SELECT DISTINCT Host FROM mysql.user WHERE User LIKE 'tapedeck%'")
    assert hosts == "127.0.0.0/255.255.255.0"
    deck.must("user", "list")
    secured.secure()
    deck.auth = None  # the password is another one


def test_what_was_interrupted_is_made_whole(secured, deck, tmp_path):
    """Between the new password and its file: the second run must not trust the old file."""
    secured.server.sql("DROP USER tapedeck_backup@'127.0.0.%'")
    client = tmp_path / "mariadb"
    client.write_text(f"""#!/bin/bash
        sql=$(cat)
        {shutil.which("mariadb")} "$@" <<<"$sql" || exit
        [[ $sql != *"CREATE USER"*tapedeck_backup* ]] || exit 1
    """)
    client.chmod(0o755)
    interrupted = secured.run(environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert interrupted.returncode != 0
    assert "new password" in secured.secure()
    assert secured.by("backup", "SELECT count(*) FROM user").returncode == 0
    assert sorted(path.name for path in secured.secrets.glob("*.uri*")) == [
        "app.uri", "backup.uri", "migrate.uri"]


@pytest.mark.parametrize("arguments", [
    ["--address", "0.0.0.0", "--from", "10.0.0.%"],
    ["--address", "10.0.0.1", "--from", "%"],
    ["--address", "10.0.0.1", "--from", "x'; DROP"],
    ["--address", "10.0.0.1", "--from", "10.%", "--database", "a;b"],
    ["--address", "10.0.0.1"],
    [],
])
def test_what_would_be_unsafe_is_refused(arguments):
    result = subprocess.run(
        [DEPLOY / "secure", *arguments, "--socket", "/nowhere"][:1 + len(arguments)],
        capture_output=True, text=True,
    )
    assert result.returncode != 0
    assert result.stderr


# ---- What doctor sees ----


def lines_of(text, name):
    return "\n".join(line for line in text.splitlines() if f"  {name}  " in line)


def test_doctor_finds_nothing_on_a_secured_server(deck):
    shown = deck.run("doctor", "--set", "limits.disk_free_min=0", **deck.migration).stdout
    for name in ("accounts   ", "mysql tls  ", "mysql login", "mysql host "):
        assert lines_of(shown, name).startswith("ok "), shown


def columns(count):
    return ", ".join(f"c{n:060}" for n in range(count))


@pytest.mark.parametrize("rights, place, verdict, words", [
    ("SELECT", "mysql.user", "FAILED", "needs no SELECT on `mysql`.`user`"),
    (f"SELECT ({columns(10)})", "tapedeck.wide", "warning", "on `tapedeck`.`wide`"),
    (f"SELECT ({columns(40)})", "tapedeck.wide", "FAILED", "more rights than can be read"),
], ids=["of others", "long", "too long"])
def test_doctor_sees_any_right_too_many(secured, deck, rights, place, verdict, words):
    sql = secured.server.sql
    account = "tapedeck_app@'127.0.0.%'"
    sql(f"CREATE TABLE tapedeck.wide ({columns(40).replace(',', ' INT,')} INT)")
    sql(f"GRANT {rights} ON {place} TO {account}")
    try:
        shown = deck.run("doctor", "--set", "limits.disk_free_min=0").stdout
    finally:
        sql(f"REVOKE {rights} ON {place} FROM {account}; DROP TABLE tapedeck.wide")
    line = lines_of(shown, "mysql login")
    assert line.startswith(verdict) and words in line, shown


RIGHTS = (
    ("user", "SELECT"), ("user", "INSERT"), ("user", "UPDATE"), ("user", "DELETE"),
    ("schema_version", "SELECT"),
)


@pytest.mark.parametrize("missing", range(len(RIGHTS)))
def test_doctor_names_a_right_that_is_missing(fresh, tmp_path, missing):
    """One that everybody's first look goes without, too: a login only reads."""
    sql = fresh.server.sql
    sql("CREATE DATABASE IF NOT EXISTS less;"
        "CREATE USER IF NOT EXISTS less@'127.0.0.1' IDENTIFIED BY 'p';"
        "GRANT ALL ON less.* TO less@'127.0.0.1'")
    deck = Deck(tmp_path, accounts=())
    arguments = [
        "--set", "stores.users=mysql",
        "--set", f"mysql.uri=mysql://less:p@127.0.0.1:{fresh.server.port}/less",
    ]
    try:
        assert deck.command("migrate", *arguments).returncode == OK
        wide = deck.command("doctor", "auth", *arguments).stdout
        sql("REVOKE ALL ON less.* FROM less@'127.0.0.1'")
        for i, (table, right) in enumerate(RIGHTS):
            if i != missing:
                sql(f"GRANT {right} ON less.{table} TO less@'127.0.0.1'")
        result = deck.command("doctor", "auth", *arguments)
    finally:
        sql("DROP DATABASE less; DROP USER less@'127.0.0.1'")
        deck.close()
    assert "does not have it" not in wide
    table, right = RIGHTS[missing]
    assert result.returncode == FAILED
    if right == "SELECT":  # nothing works at all, and the server says why
        assert "SELECT command denied" in lines_of(result.stdout, "accounts   "), result.stdout
        return
    login = lines_of(result.stdout, "mysql login")
    assert login.startswith("FAILED"), result.stdout
    assert f"the account needs {right} on `{table}`, and does not have it" in login
    assert login.count("does not have it") == 1


def test_doctor_names_what_falls_short(fresh, tmp_path):
    sql = fresh.server.sql
    sql("CREATE DATABASE IF NOT EXISTS wide;"
        "CREATE USER IF NOT EXISTS wide@'127.0.0.1' IDENTIFIED BY 'p';"
        "GRANT ALL ON *.* TO wide@'127.0.0.1' WITH GRANT OPTION; SET GLOBAL general_log = ON")
    deck = Deck(tmp_path, accounts=())
    arguments = [
        "--set", "stores.users=mysql",
        "--set", f"mysql.uri=mysql://wide:p@127.0.0.1:{fresh.server.port}/wide",
    ]
    try:
        assert deck.command("migrate", *arguments).returncode == OK
        sql("CREATE TABLE wide.user_original (id INT, email TEXT, password TEXT)")
        result = deck.command("doctor", *arguments)
    finally:
        sql("SET GLOBAL general_log = OFF; DROP DATABASE wide; DROP USER wide@'127.0.0.1'")
        deck.close()
    assert result.returncode == FAILED
    for word in (
        "not encrypted", "REQUIRE SSL", "require_secure_transport", "ALL PRIVILEGES on *.*",
        "give it to others", "other databases", "test", "anybody gets in", "user_original",
    ):
        assert word in result.stdout, f"{word}\n{result.stdout}"
    for word in (
        "local_infile", "secure_file_priv", "general_log", "bind_address",
        "simple_password_check", "max_password_errors",
    ):
        assert word in lines_of(result.stdout, "mysql host "), f"{word}\n{result.stdout}"


# ---- Backups ----


@pytest.fixture
def keys(tmp_path):
    def make(name):
        path = tmp_path / f"{name}.key"
        subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
        return path, re.search(r"age1\w+", path.read_text()).group()

    return make


def run_backup(place, recipient, folder, *more):
    return subprocess.run(
        [DEPLOY / "backup", "--recipient", recipient, "--to", folder,
         "--uri-file", place.secrets / "backup.uri", "--ca", place.tls / "ca.pem", *more],
        capture_output=True, text=True, timeout=180,
    )


def run_restore(place, action, identity, file, *more):
    to = ["--uri-file", place.secrets / "migrate.uri", "--ca", place.tls / "ca.pem"]
    return subprocess.run(
        [DEPLOY / "restore", action, "--identity", identity, *(to if action == "into" else []),
         *more, file],
        capture_output=True, text=True, timeout=300,
    )


def test_a_backup_is_encrypted_checked_and_restored(secured, deck, keys, tmp_path):
    identity, recipient = keys("ours")
    made = run_backup(secured, recipient, tmp_path / "backups")
    assert made.returncode == 0, made.stderr
    [file] = (tmp_path / "backups").iterdir()
    assert made.stdout.strip() == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert content.startswith(b"age-encryption.org/") and b"argon2" not in content

    checked = run_restore(secured, "check", identity, file)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout == "1 accounts, schema version 1\n"

    refused = run_restore(secured, "into", identity, file)
    assert refused.returncode != 0 and "--replace yes" in refused.stderr
    deck.must("user", "add", "later@example.org", text="another password\n")
    secured.server.sql("UPDATE tapedeck.user SET password_hash = ''")
    restored = run_restore(secured, "into", identity, file, "--replace", "yes")
    assert restored.returncode == 0, restored.stderr
    assert "later@example.org" not in deck.must("user", "list")
    assert deck.can_log_in()
    secured.server.sql("DROP TABLE tapedeck.user, tapedeck.schema_version")
    restored = run_restore(secured, "into", identity, file)
    assert restored.returncode == 0, restored.stderr
    assert deck.can_log_in()


def test_a_backup_is_read_with_its_key_alone_and_whole(secured, deck, keys, tmp_path):
    identity, recipient = keys("ours")
    other, _ = keys("other")
    assert run_backup(secured, recipient, tmp_path / "b").returncode == 0
    [file] = (tmp_path / "b").iterdir()
    stranger = run_restore(secured, "check", other, file)
    assert stranger.returncode != 0 and "cannot be decrypted" in stranger.stderr
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)
    changed = run_restore(secured, "check", identity, file)
    assert changed.returncode != 0 and "cannot be decrypted" in changed.stderr
    file.write_bytes(content[: len(content) // 2])
    assert run_restore(secured, "check", identity, file).returncode != 0


def test_a_backup_that_fails_leaves_nothing(secured, deck, keys, tmp_path):
    _, recipient = keys("ours")
    wrong = run_backup(secured, recipient, tmp_path / "b", "--ca", "/etc/ssl/certs/ca-certificates.crt")
    assert wrong.returncode != 0
    assert not list((tmp_path / "b").iterdir())


def test_old_backups_go_once_there_is_a_new_one(secured, deck, keys, tmp_path):
    _, recipient = keys("ours")
    folder = tmp_path / "our backups"
    folder.mkdir()
    (tmp_path / "our").touch()
    for day in (1, 2, 3):
        (folder / f"tapedeck-2020010{day}T000000Z.sql.age").touch()
    assert run_backup(secured, recipient, folder, "--keep", "2").returncode == 0
    left = sorted(path.name for path in folder.iterdir())
    assert len(left) == 2 and left[0] == "tapedeck-20200103T000000Z.sql.age"
    assert (tmp_path / "our").exists()

"""Accounts in MariaDB: auth and `tapedeck user` on it, its outages, its certificate, and the table
of the original system."""

import itertools
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

from authority import Authority
from deck import ANNA, Deck, expect
from mariadb import SMALL, MariaDb, TlsMariaDb
from workshop import RELEASE, wait_for

OK, FAILED, USAGE = 0, 1, 2
names = (f"case{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def server():
    made = TlsMariaDb()
    yield made
    made.close()


class MysqlDeck(Deck):
    """Its accounts are in a database of its own, which has its schema."""

    def __init__(self, folder, server):
        super().__init__(folder, accounts=())
        self.server = server
        self.name = next(names)
        server.make_database(self.name)

    def options(self, **changes):
        found = {**self.server.options_for(self.name), **changes}
        return {name: value for name, value in found.items() if value is not None}

    def run(self, *arguments, text="", **changes):
        options = [f"{name}={value}" for name, value in self.options(**changes).items()]
        return self.command(
            *arguments, *(word for option in options for word in ("--set", option)), text=text
        )

    def must(self, *arguments, **more):
        result = self.run(*arguments, **more)
        assert result.returncode == OK, result.stderr
        return result.stdout

    def sql(self, sql):
        return self.server.sql(sql, self.name)

    def start_auth(self, options=None, **more):
        return super().start_auth(self.options(**(options or {})), **more)

    def login(self, account=ANNA):
        return requests.post(f"{self.auth_url}/login", auth=account)

    def validate(self, token):
        return requests.post(
            f"{self.auth_url}/validate", headers={"Authorization": f"Bearer {token}"}
        )


@pytest.fixture
def bare(tmp_path, server):
    """A database without a schema."""
    made = MysqlDeck(tmp_path, server)
    yield made
    made.close()


@pytest.fixture
def deck(bare):
    bare.must("migrate")
    bare.must("user", "add", ANNA[0], text=f"{ANNA[1]}\n")
    return bare


# ---- Accounts ----


def test_accounts_in_mysql_are_accounts(deck):
    deck.start_auth()
    token = deck.login()
    assert token.status_code == 200, token.text
    assert deck.validate(token.text).json()["username"] == ANNA[0]
    expect(deck.login((ANNA[0], "wrong password")), 401, "invalid_credentials")
    expect(deck.login(("' OR 1=1 -- @x.test", "x")), 401, "invalid_credentials")
    deck.must("user", "passwd", ANNA[0], text="another password\n")
    expect(deck.login(), 401, "invalid_credentials")
    assert deck.validate(token.text).status_code != 200
    assert deck.login((ANNA[0], "another password")).status_code == 200
    ready = requests.get(f"http://{deck.auth.ops_address()}/readyz")
    assert ready.status_code == 200 and "users" in ready.text
    stored = deck.sql("SELECT password_hash FROM user")
    assert stored.startswith("$argon2id$")


def test_replicas_of_auth_are_one(deck):
    """They share the accounts and the folder of keys, and whoever stands before them chooses."""
    first_url = deck.start_auth() and deck.auth_url
    deck.start_auth({"data.dir": deck.folder / "other", "auth.keys_dir": deck.data / "keys"})
    urls = (first_url, deck.auth_url)

    def at(url, path, **arguments):
        return requests.post(f"{url}{path}", **arguments)

    tokens = [at(url, "/login", auth=ANNA).text for url in urls]
    bearers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    assert {at(url, "/validate", headers=b).status_code for url in urls for b in bearers} == {200}

    deck.must("keys", "rotate")

    def published():
        found = [requests.get(f"{url}/.well-known/jwks.json").json()["keys"] for url in urls]
        return found[0] == found[1] and len(found[0]) == 2

    wait_for(published, what="the new key at both")
    deck.must("user", "passwd", ANNA[0], text="another password\n")
    assert {at(url, "/validate", headers=b).status_code for url in urls for b in bearers} == {401}


def test_services_need_no_right_to_make_tables(bare):
    alone = {"mysql.migrate_uri": None}
    refused = bare.run("user", "add", ANNA[0], text=f"{ANNA[1]}\n", **alone)
    assert refused.returncode == FAILED
    assert "mysql.migrate_uri" in refused.stderr
    refused = bare.run("doctor", **alone)
    assert refused.returncode == FAILED and "tapedeck migrate" in refused.stdout
    bare.must("migrate")
    bare.must("migrate")
    bare.must("user", "add", ANNA[0], text=f"{ANNA[1]}\n", **alone)
    assert ANNA[0] in bare.must("user", "list", **alone)
    bare.start_auth(alone)
    assert bare.login().status_code == 200


def test_a_migration_that_was_killed_before_it_noted_a_version_goes_on(bare):
    bare.sql("CREATE TABLE schema_version (only_row TINYINT NOT NULL PRIMARY KEY,"
             " version BIGINT NOT NULL, reader_least BIGINT NOT NULL)")
    refused = bare.run("user", "list")
    assert refused.returncode == FAILED and "tapedeck migrate" in refused.stderr
    bare.must("migrate")
    bare.must("user", "list")


def test_a_replica_whose_schema_is_not_there_yet_is_not_ready_and_looks_again(bare):
    """While `migrate` still runs, a load balancer is to ask the replicas of the version before."""
    def readiness():
        answer = requests.get(f"http://{bare.auth.ops_address()}/readyz", timeout=30)
        checks = {check["name"]: check["ok"] for check in answer.json()["checks"]}
        return answer.status_code, checks["schema"]

    bare.start_auth()
    assert readiness() == (503, False)
    bare.must("migrate")
    wait_for(lambda: readiness() == (200, True), what="readiness")
    bare.sql("DROP TABLE schema_version")
    time.sleep(1.1)  # results are kept for a second
    assert readiness() == (200, True)  # as for all other replicas now


def test_a_schema_of_a_newer_version_is_left_alone(deck):
    deck.sql("UPDATE schema_version SET version = 99, reader_least = 99")
    for command in (("migrate",), ("user", "list")):
        refused = deck.run(*command)
        assert refused.returncode == FAILED
        assert "newer version" in refused.stderr
    deck.sql("UPDATE schema_version SET reader_least = 1")
    deck.must("migrate")
    assert deck.sql("SELECT version FROM schema_version") == "99"


def test_an_account_that_cannot_be_read_hides_no_other(deck):
    broken = ", ".join(f"('broken {n}', 1, 'a{n}@x.test', '', 0, 0, 1, 9999999999999, 0, 0)"
                       for n in range(250))
    deck.sql(f"INSERT INTO user VALUES {broken}")
    deck.must("user", "add", "z@x.test", text="a good password\n")
    listed = deck.run("user", "list")
    assert listed.returncode == OK
    assert ANNA[0] in listed.stdout and "z@x.test" in listed.stdout
    assert listed.stderr.count("account skipped") >= 250
    deck.must("user", "disable", "z@x.test")
    deck.start_auth()
    told = requests.get(
        f"{deck.auth_url}/revocations",
        headers={"X-Tapedeck-Gateway-Key": (deck.data / "gateway.key").read_text().strip()},
    )
    assert len(told.json()["revocations"]) == 1


@pytest.mark.parametrize("uri, words", [
    ("", "is not given"),
    ("mysqls://u:geheim@127.0.0.1:1", "names no database"),
    ("mysqls://127.0.0.1:1/d", "names no user"),
    ("postgres://u:geheim@127.0.0.1/d", "must begin with mysqls://"),
    ("mysql://u:geheim@192.0.2.1/d", "mysql.tls=off"),
    ("mysqls://u:geheim@127.0.0.1/d?x=y", "no meaning"),
])
def test_a_wrong_uri_is_told_without_its_password(bare, uri, words):
    refused = bare.run("user", "list", **{"mysql.uri": uri, "mysql.migrate_uri": None})
    assert refused.returncode == FAILED
    assert words in refused.stderr
    assert "geheim" not in refused.stderr


# ---- The certificate ----


@pytest.fixture
def certificate(server):
    yield server.present
    server.present()


def refusal(deck, **changes):
    """What commands and doctor say; both name the same."""
    listed = deck.run("user", "list", **changes)
    assert listed.returncode == FAILED
    examined = deck.run("doctor", **changes)
    assert examined.returncode == FAILED
    assert TlsMariaDb.PASSWORD not in listed.stderr + examined.stdout + examined.stderr
    said = listed.stderr.split("the server", 1)[1][:30]
    assert said in examined.stdout, examined.stdout
    return listed.stderr


def test_a_certificate_of_another_authority_is_refused(deck, tmp_path):
    other = Authority(tmp_path, "other")
    assert "no CA of mysql.ca_file" in refusal(deck, **{"mysql.ca_file": other.file})
    assert "no CA of mysql.ca_file" in refusal(deck, **{"mysql.ca_file": ""})


def test_a_certificate_of_another_host_is_refused(deck, certificate):
    certificate(host="db.example", also=())
    assert "host name" in refusal(deck)


def test_an_expired_certificate_is_refused(deck, certificate):
    certificate(from_day=-3, to_day=-1)
    assert "expired" in refusal(deck)


def test_a_certificate_that_is_not_valid_yet_is_refused(deck, certificate):
    certificate(from_day=1, to_day=3)
    assert "not valid yet" in refusal(deck)


def test_a_missing_ca_file_is_named(deck, tmp_path):
    refused = deck.run("user", "list", **{"mysql.ca_file": tmp_path / "none.pem"})
    assert refused.returncode == FAILED
    assert "none.pem cannot be read" in refused.stderr


def test_localhost_is_verified_like_any_host(deck):
    uri = deck.server.uri("s", deck.name, host="localhost")
    deck.must("user", "list", **{"mysql.uri": uri, "mysql.migrate_uri": None})


@pytest.fixture(scope="module")
def plain_server():
    """A server that has no certificate, and lets anybody in."""
    made = MariaDb(options=(*SMALL, "--bind-address=127.0.0.1", "--skip-name-resolve"))
    made.start()
    made.sql("CREATE DATABASE d; CREATE USER u@'%' IDENTIFIED BY 'p'; GRANT ALL ON d.* TO u@'%'")
    yield made
    made.close()


def test_a_server_without_tls_gets_no_password(bare, plain_server):
    address = f"u:p@127.0.0.1:{plain_server.port}/d"
    refused = bare.run("user", "list",
                       **{"mysql.uri": f"mysqls://{address}", "mysql.migrate_uri": None})
    assert refused.returncode == FAILED
    assert "TLS" in refused.stderr
    assert plain_server.sql("SHOW STATUS LIKE 'Aborted_connects'").split()[1] != "0"
    bare.must("migrate", **{"mysql.uri": f"mysql://{address}", "mysql.migrate_uri": None})


# ---- Outages ----


def connections(server, name):
    found = server.sql(f"SELECT id FROM information_schema.processlist WHERE user = 's_{name}'")
    return found.split()


def test_connections_that_the_server_closed_cost_nothing(deck):
    deck.start_auth()
    for _ in range(3):
        assert deck.login().status_code == 200
        for connection in connections(deck.server, deck.name):
            deck.server.sql(f"KILL {connection}")
        wait_for(lambda: not connections(deck.server, deck.name), what="the end of connections")
    assert deck.login().status_code == 200


def test_auth_lives_through_the_server_s_death(deck):
    deck.start_auth()
    token = deck.login().text
    deck.server.kill()
    try:
        begun = time.monotonic()
        expect(deck.login(), 503, "store_unavailable")
        assert time.monotonic() - begun < 15
        ready = requests.get(f"http://{deck.auth.ops_address()}/readyz")
        assert "users" in ready.text and "mysql.uri" in ready.text
    finally:
        deck.server.start()
    assert deck.login().status_code == 200
    assert deck.validate(token).status_code == 200
    assert TlsMariaDb.PASSWORD not in deck.auth.log()


def test_a_server_that_stands_still_is_not_waited_for(deck):
    deck.start_auth()
    assert deck.login().status_code == 200
    deck.server.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        expect(deck.login(), 503, "store_unavailable")
        expect(deck.login(), 503, "store_unavailable")
        assert time.monotonic() - begun < 30
    finally:
        deck.server.signal(signal.SIGCONT)
    assert deck.login().status_code == 200


class CutProxy:
    """Passes all on to a server, until a statement that begins so is executed: that reaches the
    server, and its answer nobody."""

    def __init__(self, port, statement):
        self.port, self.statement = port, statement
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.was_cut = False
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self.to_server, args=(client, server), daemon=True).start()
            threading.Thread(target=self.to_client, args=(client, server), daemon=True).start()

    def to_server(self, client, server):
        is_prepared = False
        try:
            while piece := client.recv(65536):
                if is_prepared and not self.was_cut:
                    self.was_cut = True  # first: the client may end before this thread goes on
                    client.shutdown(socket.SHUT_RDWR)
                is_prepared = is_prepared or self.statement in piece
                server.sendall(piece)
        except OSError:
            pass
        server.close()

    def to_client(self, client, server):
        try:
            while piece := server.recv(65536):
                client.sendall(piece)
        except OSError:
            pass
        client.close()

    def close(self):
        self.listener.close()


@pytest.fixture
def cut_from(plain_server):
    made = []

    def make(statement):
        made.append(CutProxy(plain_server.port, statement))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


def on(server, address):
    uri = f"mysql://u:p@{address}/d"
    return {"mysql.uri": uri, "mysql.migrate_uri": uri}


def test_a_write_whose_answer_is_lost_can_be_repeated(bare, plain_server, cut_from):
    direct = on(plain_server, f"127.0.0.1:{plain_server.port}")
    bare.must("migrate", **direct)
    bare.must("user", "add", ANNA[0], text=f"{ANNA[1]}\n", **direct)
    proxy = cut_from(b"UPDATE user")
    cut = on(plain_server, proxy.address)
    lost = bare.run("user", "passwd", ANNA[0], text="a new password\n", **cut)
    assert lost.returncode == FAILED and proxy.was_cut
    assert "mysql.uri" in lost.stderr
    wait_for(lambda: plain_server.sql("SELECT version FROM d.user") == "2", what="the write")
    bare.must("user", "passwd", ANNA[0], text="a new password\n", **cut)
    assert plain_server.sql("SELECT version FROM d.user") == "3"  # once each, never repeated
    bare.start_auth(direct)
    assert bare.login((ANNA[0], "a new password")).status_code == 200


def test_a_read_whose_answer_is_lost_is_repeated(bare, plain_server, cut_from):
    proxy = cut_from(b"FROM user WHERE email >")
    bare.must("migrate", **on(plain_server, f"127.0.0.1:{plain_server.port}"))
    bare.must("user", "list", **on(plain_server, proxy.address))
    assert proxy.was_cut


# ---- The original's table ----


@pytest.fixture
def original(bare):
    """As the original's init.sql makes it."""
    bare.sql("""
        CREATE TABLE user (
          id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
          email VARCHAR(255) NOT NULL UNIQUE,
          password VARCHAR(255) NOT NULL
        );
        INSERT INTO user (email, password) VALUES
          ('Georgio@Email.com', 'Admin123'), ('b@x.test', 'pw'), ('c@x.test', 'päßword ''');
    """)
    return bare


def tables(deck):
    return set(deck.sql("SHOW TABLES").split())


def test_passwords_of_the_original_become_hashes(original):
    assert "3 accounts of the original" in original.must("migrate")
    assert tables(original) == {"user", "schema_version"}
    hashes = original.sql("SELECT password_hash FROM user").split("\n")
    assert len(hashes) == 3 and all(text.startswith("$argon2id$") for text in hashes)
    original.start_auth()
    for account in (("georgio@email.com", "Admin123"), ("b@x.test", "pw")):
        token = original.login(account)
        assert token.status_code == 200, account
        assert original.validate(token.text).json()["admin"] is True
    c = requests.post(f"{original.auth_url}/login", auth=("c@x.test", "päßword '".encode()))
    assert c.status_code == 200
    assert "accounts of the original" not in original.must("migrate")
    assert original.sql("SELECT count(*) FROM user") == "3"


def test_accounts_that_fit_nowhere_are_named_and_kept(original):
    original.sql("ALTER TABLE user MODIFY password TEXT;"
                 "INSERT INTO user (email, password) VALUES ('admin', 'secret1'), ('d@x.test', ''),"
                 " ('e@x.test', REPEAT('e', 2000)), ('f@x.test', CONCAT('f', CHAR(0), 'g')),"
                 " ('g@x.test', 'the last')")
    result = original.run("migrate")
    assert result.returncode == FAILED
    for key in (4, 5, 6, 7):
        assert f"id {key}: " in result.stderr
    assert "4 accounts" in result.stderr and "user_original" in result.stderr
    assert "secret1" not in result.stderr
    assert original.sql("SELECT count(*) FROM user") == "4"
    assert original.sql("SELECT id FROM user_original").split() == ["4", "5", "6", "7"]
    original.sql("UPDATE user_original SET email = 'admin@x.test' WHERE id = 4;"
                 "DELETE FROM user_original WHERE id > 4")
    original.must("migrate")
    assert tables(original) == {"user", "schema_version"}
    original.start_auth()
    assert original.login(("admin@x.test", "secret1")).status_code == 200


def test_a_migration_that_is_killed_goes_on(original):
    rows = ", ".join(f"('u{n}@x.test', 'password {n}')" for n in range(24))
    original.sql(f"INSERT INTO user (email, password) VALUES {rows}")
    arguments = [
        str(RELEASE / "tapedeck"), "migrate", "--set", f"data.dir={original.data}",
        *(word for name, value in original.options().items()
          for word in ("--set", f"{name}={value}")),
    ]
    for least in (2, 9):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def has_begun():
            counted = original.server.client("SELECT count(*) FROM user", original.name)
            return "user_original" in tables(original) and int(counted.stdout or 0) >= least

        wait_for(has_begun, 120, f"{least} accounts")
        process.kill()
        process.wait()
    both = original.sql("SELECT (SELECT count(*) FROM user) + (SELECT count(*) FROM user_original)")
    assert both == "27"
    original.must("migrate")
    assert tables(original) == {"user", "schema_version"}
    assert original.sql("SELECT count(*), count(DISTINCT email) FROM user") == "27\t27"


def test_two_migrations_at_once_make_one_of_each(original):
    arguments = [
        str(RELEASE / "tapedeck"), "migrate", "--set", f"data.dir={original.data}",
        *(word for name, value in original.options().items()
          for word in ("--set", f"{name}={value}")),
    ]
    both = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        _, said = process.communicate(timeout=180)
        assert process.returncode == OK, said
    assert tables(original) == {"user", "schema_version"}
    assert original.sql("SELECT count(*) FROM user") == "3"


@pytest.mark.parametrize("columns", [
    "name VARCHAR(20)", "id VARCHAR(20), email VARCHAR(20), password VARCHAR(20)",
])
def test_a_table_of_somebody_else_is_left_alone(bare, columns):
    bare.sql(f"CREATE TABLE user ({columns})")
    refused = bare.run("migrate")
    assert refused.returncode == FAILED
    assert "neither Tapedeck's nor the original's" in refused.stderr
    assert tables(bare) == {"user"}

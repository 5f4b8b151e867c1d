"""Logins and tokens."""

import base64
import ctypes
import hashlib
import hmac
import json
import sqlite3
import threading
import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from authority import Authority, Front
from deck import ANNA, BEN, Client, Deck, code, expect
from workshop import cpu_seconds, free_port, wait_for


@pytest.fixture
def deck(tmp_path):
    made = Deck(tmp_path)
    yield made
    made.close()


def login(deck, account, **headers):
    return requests.post(f"{deck.auth_url}/login", auth=account, headers=headers)


def validate(deck, token):
    return requests.post(
        f"{deck.auth_url}/validate", headers={"Authorization": f"Bearer {token}"}
    )


def gateway_key(deck):
    return (deck.data / "gateway.key").read_text().strip()


def revocations(deck):
    answer = requests.get(
        f"{deck.auth_url}/revocations", headers={"X-Tapedeck-Gateway-Key": gateway_key(deck)}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["revocations"]


def test_a_login_gives_a_token_that_any_library_verifies(deck):
    deck.start_auth({"auth.token_lifetime": "2h"})
    answer = login(deck, ANNA)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    keys = requests.get(f"{deck.auth_url}/.well-known/jwks.json")
    assert "d" not in keys.json()["keys"][0]
    key_id = jwt.get_unverified_header(answer.text)["kid"]
    [jwk] = [key for key in keys.json()["keys"] if key["kid"] == key_id]
    claims = jwt.decode(
        answer.text, ECAlgorithm.from_jwk(json.dumps(jwk)), algorithms=["ES256"],
        audience="tapedeck", issuer="tapedeck",
    )
    assert claims["username"] == "anna@example.org"
    assert claims["admin"] is False
    assert claims["exp"] - claims["iat"] == 7200
    assert len(claims["sub"]) == 24 and claims["epoch"] == 0 and claims["jti"]

    answer = login(deck, ANNA, Accept="application/json")
    assert set(answer.json()) == {"token", "token_type", "expires_at"}
    assert answer.json()["token_type"] == "Bearer"
    assert validate(deck, answer.json()["token"]).json()["username"] == "anna@example.org"


def test_the_email_may_be_typed_in_any_case(deck):
    deck.start_auth()
    assert login(deck, ("Anna@Example.ORG", ANNA[1])).status_code == 200


def test_what_is_wrong_gets_one_answer(deck):
    deck.start_auth()
    wrong = [
        login(deck, (ANNA[0], "wrong password")),
        login(deck, ("nobody@example.org", "correct horse")),
        login(deck, ("not an email", "correct horse")),
        login(deck, (ANNA[0], "")),
    ]
    for answer in wrong:
        expect(answer, 401, "invalid_credentials")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    bodies = [{**answer.json(), "request_id": ""} for answer in wrong]
    assert all(body == bodies[0] for body in bodies)
    expect(requests.post(f"{deck.auth_url}/login"), 401, "missing_credentials")
    for header in ("Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Bearer x"):
        answer = requests.post(f"{deck.auth_url}/login", headers={"Authorization": header})
        expect(answer, 401, "invalid_credentials")


def test_an_unknown_user_takes_as_long(deck):
    auth = deck.start_auth({"auth.failed_logins_max": "1000"})

    def work(account):
        begun = cpu_seconds(auth.process.pid)
        expect(login(deck, account), 401, "invalid_credentials")
        return cpu_seconds(auth.process.pid) - begun

    # Time on the clock is also that of what else the machine does; and how fast its processors are
    # changes with that too, for both alike.
    known, unknown = 0, 0
    for _ in range(15):
        known += work((ANNA[0], "wrong password"))
        unknown += work(("nobody@example.org", "wrong password"))
    assert 0.6 < known / unknown < 1.7, (known, unknown)
    assert unknown > 15 * 0.01  # a hash was made, each time


def test_guessing_is_slowed_down(deck):
    deck.start_auth({"auth.failed_logins_max": "3"})
    for _ in range(3):
        expect(login(deck, (ANNA[0], "wrong password")), 401, "invalid_credentials")
    answer = login(deck, ANNA)
    expect(answer, 429, "too_many_requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 300
    assert login(deck, BEN).status_code == 200


def test_clients_are_told_apart_by_the_address_that_a_gateway_vouches_for(deck):
    deck.start_auth({"auth.failed_logins_max": "3"})

    def headers(address, key):
        return {"X-Tapedeck-Client-Address": address, "X-Tapedeck-Gateway-Key": key}

    for _ in range(3):
        answer = login(deck, (ANNA[0], "wrong"), **headers("192.0.2.1", gateway_key(deck)))
        expect(answer, 401, "invalid_credentials")
    answer = login(deck, ANNA, **headers("192.0.2.1", gateway_key(deck)))
    expect(answer, 429, "too_many_requests")
    assert login(deck, ANNA, **headers("192.0.2.2", gateway_key(deck))).status_code == 200
    # Without the secret the word counts for nothing: these are all one address.
    for i in range(3):
        login(deck, (BEN[0], "wrong"), **headers(f"192.0.2.{i}", "not the right key at all"))
    answer = login(deck, BEN, **headers("192.0.2.9", "not the right key at all"))
    expect(answer, 429, "too_many_requests")


def test_a_flood_of_logins_is_bounded(deck):
    deck.start_auth({"auth.hashes_at_once": "1", "auth.failed_logins_max": "100000"})
    statuses = []

    def flood():
        statuses.append(login(deck, ANNA).status_code)

    threads = [threading.Thread(target=flood) for _ in range(40)]
    for thread in threads:
        thread.start()
    # Everything else goes on meanwhile; the best of several, as a busy machine may stand still.
    seconds = []
    while not seconds or any(thread.is_alive() for thread in threads):
        begun = time.monotonic()
        assert requests.get(f"{deck.auth_url}/.well-known/jwks.json").status_code == 200
        seconds.append(time.monotonic() - begun)
    assert min(seconds) < 1
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503} and 200 in statuses


def weak_hash(password):
    """Argon2id of 8 MiB and one pass, by libsodium itself."""
    sodium = ctypes.CDLL("libsodium.so.23")
    out = ctypes.create_string_buffer(128)
    size = ctypes.c_ulonglong
    assert sodium.sodium_init() >= 0
    assert 0 == sodium.crypto_pwhash_str_alg(
        out, password, size(len(password)), size(1), ctypes.c_size_t(8 << 20), 2
    )
    return out.value.decode()


def test_an_old_hash_is_made_anew_at_login(deck):
    weak = weak_hash(b"old password")
    assert "m=8192,t=1" in weak
    csv = deck.folder / "users.csv"
    csv.write_text(f"carl@example.org,{weak}\n".replace(weak, f'"{weak}"'))
    result = deck.command("user", "import", str(csv))
    assert result.returncode == 0, result.stderr
    deck.start_auth()
    assert login(deck, ("carl@example.org", "old password")).status_code == 200
    assert "password hash upgraded" in deck.auth.log()
    assert login(deck, ("carl@example.org", "old password")).status_code == 200
    assert deck.auth.log().count("password hash upgraded") == 1


def test_disabling_ends_tokens(deck):
    deck.start_auth()
    token = login(deck, ANNA).text
    assert validate(deck, token).status_code == 200
    assert revocations(deck) == []
    deck.user("disable", ANNA[0])
    expect(validate(deck, token), 403, "not_allowed")
    expect(login(deck, ANNA), 401, "invalid_credentials")
    assert [entry["epoch"] for entry in revocations(deck)] == [1]
    deck.user("enable", ANNA[0])
    expect(validate(deck, token), 401, "invalid_token")
    assert validate(deck, login(deck, ANNA).text).status_code == 200


def test_a_new_password_ends_tokens(deck):
    deck.start_auth()
    token = login(deck, ANNA).text
    deck.user("passwd", ANNA[0], password="another horse")
    expect(validate(deck, token), 401, "invalid_token")
    expect(login(deck, ANNA), 401, "invalid_credentials")
    assert login(deck, (ANNA[0], "another horse")).status_code == 200


def forged(deck, token, **changes):
    """Tokens with the right claims that nobody signed as they should be."""
    claims = {**jwt.decode(token, options={"verify_signature": False}), **changes}
    [jwk] = requests.get(f"{deck.auth_url}/.well-known/jwks.json").json()["keys"]
    other = ec.generate_private_key(ec.SECP256R1())
    header, body, signature = token.split(".")
    public = ECAlgorithm.from_jwk(json.dumps(jwk))
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield jwt.encode(claims, None, algorithm="none", headers={"kid": jwk["kid"]})
    yield jwt.encode(claims, other, algorithm="ES256", headers={"kid": jwk["kid"]})
    yield jwt.encode(claims, other, algorithm="ES256", headers={"kid": "unknown"})
    yield jwt.encode(claims, other, algorithm="ES256")
    yield mac(claims, jwk, pem)
    yield mac(claims, jwk, json.dumps(jwk).encode())
    yield f"{header}.{body}."
    yield f"{header}.{body}.{signature[:-8]}AAAAAAAA"
    yield f"{header}.{b64(json.dumps({**claims, 'admin': True}).encode())}.{signature}"
    yield "x"
    yield "..."
    yield "x" * 5000


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mac(claims, jwk, secret):
    """HS256 with the public key as the secret, which PyJWT refuses to make."""
    signed = ".".join(
        b64(json.dumps(part).encode())
        for part in ({"alg": "HS256", "typ": "JWT", "kid": jwk["kid"]}, claims)
    )
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def test_forged_tokens_are_refused_by_auth_and_gateway(deck):
    deck.start_both()
    token = deck.login()
    for fake in forged(deck, token):
        expect(validate(deck, fake), 401, "invalid_token")
        expect(Client(deck.url, fake).get("/v1/conversions"), 401, "invalid_token")
    expect(requests.get(f"{deck.url}/v1/conversions"), 401, "missing_credentials")
    answer = requests.get(f"{deck.url}/v1/conversions", headers={"Authorization": "Basic eDp5"})
    expect(answer, 401, "missing_credentials")


def test_an_expired_token_and_one_for_others_are_refused(deck):
    deck.start_both()
    token = deck.login()
    [path] = (deck.data / "keys").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    key = json.loads(path.read_text())["key"]
    private = ECAlgorithm.from_jwk(json.dumps(key))
    header = {"kid": jwt.get_unverified_header(token)["kid"]}
    claims = jwt.decode(token, options={"verify_signature": False})

    def signed(**changes):
        return jwt.encode({**claims, **changes}, private, algorithm="ES256", headers=header)

    assert validate(deck, signed()).status_code == 200
    now = int(time.time())
    for changes in (
        {"exp": now - 120, "iat": now - 240},
        {"iat": now + 600, "exp": now + 1200},
        {"aud": "somebody else"},
        {"iss": "somebody else"},
        {"sub": "x"},
        {"exp": "never"},
    ):
        fake = signed(**changes)
        expect(validate(deck, fake), 401, "invalid_token")
        expect(Client(deck.url, fake).get("/v1/conversions"), 401, "invalid_token")


def test_an_account_that_cannot_be_read_hides_no_other(deck):
    """As somebody may leave one who writes into the file."""
    deck.start_auth()
    connection = sqlite3.connect(deck.data / "users.db", timeout=30)
    with connection:
        connection.execute(
            "INSERT INTO user (id, version, email, password_hash, admin, disabled, epoch, epoch_at,"
            " created_at, erased_at) VALUES ('0', 1, '0@example.org', '', 0, 1, 1, ?, 0, 0)",
            [int(time.time() * 1000)],
        )
    connection.close()
    deck.user("disable", ANNA[0])
    assert [entry["epoch"] for entry in revocations(deck)] == [1]
    assert "account skipped" in deck.auth.log()


def test_revocations_need_the_gateways_secret(deck):
    deck.start_auth()
    url = f"{deck.auth_url}/revocations"
    expect(requests.get(url), 403, "not_allowed")
    expect(requests.get(url, headers={"X-Tapedeck-Gateway-Key": "x" * 48}), 403, "not_allowed")
    assert (deck.data / "gateway.key").stat().st_mode & 0o777 == 0o600


def test_a_new_key_is_published_before_it_signs(deck):
    deck.start_auth(listen=f"127.0.0.1:{free_port()}")
    deck.start_gateway()
    old = deck.login()
    result = deck.command("keys", "rotate")
    assert result.returncode == 0, result.stderr
    keys = wait_for(
        lambda: (lambda found: len(found) == 2 and found)(
            requests.get(f"{deck.auth_url}/.well-known/jwks.json").json()["keys"]
        ),
        what="the new key",
    )
    kid = jwt.get_unverified_header(old)["kid"]
    assert kid in {key["kid"] for key in keys}
    # Not yet: gateways may not know it.
    assert jwt.get_unverified_header(deck.login())["kid"] == kid
    # As if it had been made two minutes ago.
    deck.auth.stop()
    [path] = [p for p in (deck.data / "keys").glob("*.json") if kid not in p.name]
    stored = json.loads(path.read_text())
    stored["created_at_ms"] -= 120_000
    for other in (deck.data / "keys").glob("*.json"):
        if other != path:
            first = json.loads(other.read_text())
            first["created_at_ms"] -= 240_000
            other.write_text(json.dumps(first))
    path.write_text(json.dumps(stored))
    deck.start_auth(listen=deck.auth_url.removeprefix("http://"))
    new = deck.login()
    assert jwt.get_unverified_header(new)["kid"] != kid
    for token in (old, new):
        assert validate(deck, token).status_code == 200
        assert Client(deck.url, token).get("/v1/conversions").status_code == 200


def test_a_key_goes_when_its_last_token_has_ended(deck):
    deck.start_auth({"auth.token_lifetime": "1s"})
    assert deck.command("keys", "rotate").returncode == 0
    paths = sorted(
        (deck.data / "keys").glob("*.json"),
        key=lambda p: json.loads(p.read_text())["created_at_ms"],
    )
    for age_s, path in zip((7200, 3600), paths):
        stored = json.loads(path.read_text())
        stored["created_at_ms"] -= age_s * 1000
        path.write_text(json.dumps(stored))
    wait_for(lambda: login(deck, BEN).ok and not paths[0].exists(), what="the old key's removal")
    assert paths[1].exists()
    assert len(requests.get(f"{deck.auth_url}/.well-known/jwks.json").json()["keys"]) == 1


def test_files_that_are_no_keys_are_left_out_and_told_of_once(deck):
    deck.start_auth()
    folder = deck.data / "keys"
    for i in range(2):
        (folder / f"{i}.key.json").write_text("no key")
    deck.auth.stop()
    deck.start_auth()

    def told():
        return deck.auth.log().count("a signing key is left out")

    assert told() == 2
    before = told()
    for _ in range(12):
        assert login(deck, BEN).status_code == 200
        time.sleep(0.2)
    assert told() == before


def test_no_secret_is_logged(deck):
    deck.start_both()
    token = deck.login()
    login(deck, (ANNA[0], "wrong password"))
    Client(deck.url, token).get("/v1/conversions?secret=topsecret")
    logs = deck.logs()
    for secret in (token, ANNA[1], "wrong password", gateway_key(deck), "topsecret"):
        assert secret not in logs
    assert base64.b64encode(b"anna@example.org:").decode()[:16] not in logs


# ---- Between gateway and auth ----


def test_a_gateway_reaches_auth_by_tls_of_an_authority_that_it_is_told(deck, tmp_path):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    deck.start_auth()
    port = int(deck.auth_url.rsplit(":", 1)[1])
    with Front(authority.issue("localhost"), port) as front:
        deck.auth_url = f"https://localhost:{front.port}"
        deck.start_gateway({"gateway.auth_ca_file": authority.file})
        client = deck.client()
        wait_for(lambda: client.get("/v1/conversions").status_code == 200, what="auth's keys")
        verdict = deck.command(
            "doctor", "gateway", "--set", f"gateway.auth_url={deck.auth_url}",
            "--set", f"gateway.auth_ca_file={authority.file}",
        ).stdout
        assert f"answers at {deck.auth_url}" in verdict
        for told in (other.file, ""):  # "": the system's
            deck.gateway.stop()
            deck.start_gateway({"gateway.auth_ca_file": told})
            expect(requests.post(f"{deck.url}/login", auth=ANNA), 503, "auth_unavailable")

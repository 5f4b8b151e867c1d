"""deploy/compose.yaml holds together, as far as can be seen without an engine: tests/container/check-compose has one."""

import re
import shutil
import stat
import subprocess

import pytest
import yaml

from test_commands import tapedeck, verdicts
from workshop import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CONTAINERS = COMPOSE["services"]
SERVICES = ["auth", "converter", "gateway", "notifier"]
STORES = ["mail-sink", "mongodb", "mysql", "rabbitmq"]
# ARCHITECTURE.md's, and what is published.
ARROWS = {
    ("gateway", "auth"), ("gateway", "mongodb"), ("gateway", "rabbitmq"),
    ("converter", "mongodb"), ("converter", "rabbitmq"),
    ("notifier", "mongodb"), ("notifier", "rabbitmq"), ("notifier", "mail-sink"),
    ("auth", "mysql"),
    ("migrate", "mongodb"), ("migrate", "rabbitmq"), ("migrate", "mysql"),
}  # fmt: skip
PUBLISHED = {"clients": ["gateway"], "mail-page": ["mail-sink"]}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """deploy/ as it is after deploy/compose/prepare."""
    deploy = tmp_path_factory.mktemp("compose") / "deploy"
    left_out = shutil.ignore_patterns("secrets", ".env")
    shutil.copytree(DEPLOY / "compose", deploy / "compose", ignore=left_out)
    for folder in ("kubernetes", "mysql"):
        shutil.copytree(DEPLOY / folder, deploy / folder)
    shutil.copy(DEPLOY / "script.sh", deploy)
    subprocess.run([deploy / "compose" / "prepare"], check=True, capture_output=True)
    return deploy


def test_all_parts_are_there():
    assert set(CONTAINERS) == {*SERVICES, *STORES, "migrate", "mongodb-setup"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_rights_that_it_does_not_need(name):
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(container)
    # Ours says its user itself.
    assert container["image"].startswith("${TAPEDECK_IMAGE") or not container["user"].startswith("0")
    assert set(container["deploy"]["resources"]["limits"]) == {"memory", "cpus", "pids"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_is_mounted_is_there_and_cannot_be_written_to(name, prepared):
    for volume in CONTAINERS[name]["volumes"]:
        source, *rest = volume.split(":")
        if source.startswith("./"):
            assert rest[1:] == ["ro"] and (prepared / source).exists(), volume
        else:
            assert source in COMPOSE["volumes"], volume


def test_each_arrow_is_a_network_and_there_is_no_other_way():
    found = {}
    for name, container in CONTAINERS.items():
        for network in container.get("networks", []):
            found.setdefault(network, []).append(name)
    assert {name: found.pop(name) for name in PUBLISHED} == PUBLISHED
    assert {tuple(sorted(ends)) for ends in found.values()} == {tuple(sorted(a)) for a in ARROWS}
    assert set(COMPOSE["networks"]) == {*found, *PUBLISHED}
    for network in found:
        assert COMPOSE["networks"][network] == {"internal": True}


def test_ports_are_published_to_this_machine_alone():
    published = {name: c["ports"] for name, c in CONTAINERS.items() if "ports" in c}
    assert list(published) == ["gateway", "mail-sink"]
    for [port] in published.values():
        assert re.fullmatch(r"\$\{TAPEDECK_\w+:-127\.0\.0\.1:\d+\}:\d+", port)


def test_services_wait_for_migrate_and_migrate_for_the_servers():
    done = {"condition": "service_completed_successfully"}
    healthy = {"condition": "service_healthy"}
    for name in SERVICES:
        assert CONTAINERS[name]["depends_on"] == {"migrate": done}
    assert CONTAINERS["migrate"]["depends_on"] == {
        "mongodb": healthy, "mongodb-setup": done, "rabbitmq": healthy, "mysql": healthy,
    }  # fmt: skip
    for name in STORES:
        assert "test" in CONTAINERS[name]["healthcheck"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_finds_in_its_configuration_all_that_it_needs(name, prepared, tmp_path):
    """No option is misspelled, no file is missing, and no store is left to a folder."""
    configuration = tmp_path / "tapedeck.ini"
    secrets = prepared / "compose" / "secrets" / name
    text = (prepared / "compose" / "tapedeck.ini").read_text()
    configuration.write_text(text.replace("/run/tapedeck", str(secrets)))
    environment = {
        key: str(value).replace("/run/tapedeck", str(secrets))
        for key, value in CONTAINERS[name]["environment"].items()
        if "$" not in str(value)
    }
    missing = f"data.dir={tmp_path / 'missing'}"
    shown = tapedeck(
        "doctor", name, "--config", str(configuration), "--set", missing,
        environment=environment,
    )  # fmt: skip
    assert shown.stderr == "", shown.stderr
    assert verdicts(shown)["data folder"] == ("-", "all stores are on servers")


def test_secrets_are_made_once_and_are_for_nobody_else_to_read(prepared):
    secrets = prepared / "compose" / "secrets"
    before = {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()}
    subprocess.run([prepared / "compose" / "prepare"], check=True, capture_output=True)
    assert {path: path.read_bytes() for path in secrets.rglob("*") if path.is_file()} == before
    for path in [secrets, *secrets.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o440), path
    group = secrets.stat().st_gid
    assert group != 0 and (prepared / ".env").read_text() == f"TAPEDECK_GROUP={group}\n"


def test_a_container_knows_the_secrets_of_its_own_arrows_alone(prepared):
    known = {
        folder.name: sorted(path.name for path in folder.iterdir())
        for folder in (prepared / "compose" / "secrets").iterdir()
    }
    stores = ["ca.pem", "mongodb.uri", "rabbitmq.uri"]
    assert {name: known[name] for name in SERVICES} == {
        "auth": ["ca.pem", "gateway.key", "mysql.uri"],
        "converter": stores,
        "gateway": sorted([*stores, "gateway.key"]),
        "notifier": sorted([*stores, "smtp.uri"]),
    }


def test_git_knows_nothing_of_them():
    ignored = ["deploy/.env", "deploy/compose/smtp.uri", "deploy/compose/secrets/gateway/gateway.key"]
    found = subprocess.run(["git", "check-ignore", *ignored], cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 128:
        pytest.skip("this is no checkout")
    assert found.stdout.split() == ignored

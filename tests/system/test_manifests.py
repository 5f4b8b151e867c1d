"""deploy/kubernetes holds together, as far as can be seen without a cluster: tests/kubernetes has one."""

import base64
import http.server
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import jwt
import pytest
import requests
import yaml

from deck import ANNA, Deck
from workshop import RELEASE, ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ["minikube", "production"]
SERVICES = ["auth", "converter", "gateway", "notifier"]
COMPONENTS = {"migrate-TAG": "migration", "mongodb": "database", "mysql": "database",
              "rabbitmq": "message-broker", "mail-sink": "mail"}
PRESTOP_SECONDS, CLOSE_SECONDS = 5, 3


def documents(pattern):
    return [
        document
        for path in sorted(KUBERNETES.glob(pattern))
        for document in yaml.safe_load_all(path.read_text())
        if document and document.get("kind", "Component") not in ("Component", "Kustomization")
    ]


def workloads():
    found = documents("base/*.yaml") + documents("components/*/*.yaml")
    return {d["metadata"]["name"]: d for d in found if "template" in d.get("spec", {})}


WORKLOADS = workloads()


def pod_of(name):
    return WORKLOADS[name]["spec"]["template"]["spec"]


def environment_of(name):
    return {row["name"]: row for row in pod_of(name)["containers"][0]["env"]}


def test_all_parts_are_there():
    assert set(WORKLOADS) == {
        *SERVICES, "migrate-TAG", "mongodb", "rabbitmq", "mysql", "mail-sink"
    }


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_has_no_rights_that_it_does_not_need(name):
    pod = pod_of(name)
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == name.removesuffix("-TAG")
    assert pod["enableServiceLinks"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) == {"cpu", "memory", "ephemeral-storage"}
        # No limit of the CPU: what is free is used.
        assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}
        assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_says_what_it_is_by_the_recommended_labels(name):
    """`part-of` is given to all of the base by its kustomization.yaml."""
    labels = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
    [common] = yaml.safe_load((KUBERNETES / "base/kustomization.yaml").read_text())["labels"]
    labels = {**common["pairs"], **labels}
    assert labels["app.kubernetes.io/name"] == name.removesuffix("-TAG")
    assert labels["app.kubernetes.io/part-of"] == "tapedeck"
    assert labels["app.kubernetes.io/component"] == COMPONENTS.get(name, "service")


def test_no_name_makes_a_variable_that_is_taken_for_an_option():
    found = documents("base/*.yaml") + documents("components/*/*.yaml")
    assert not [d["metadata"]["name"] for d in found
                if d["metadata"]["name"].startswith("tapedeck-")]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_probed_and_has_time_to_end(name):
    pod = pod_of(name)
    [container] = pod["containers"]
    paths = {probe: container[probe]["httpGet"]["path"]
             for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez",
                     "readinessProbe": "/readyz"}
    assert container["readinessProbe"]["timeoutSeconds"] > 2  # that is how long it may take
    drain = environment_of(name)["TAPEDECK_STOP_DRAIN_MAX"]["value"]
    needed = int(drain.removesuffix("s")) + CLOSE_SECONDS
    if name in ("gateway", "auth"):
        assert container["lifecycle"]["preStop"]["exec"]["command"] == [
            "sleep", str(PRESTOP_SECONDS)]
        needed += PRESTOP_SECONDS
    assert pod["terminationGracePeriodSeconds"] > needed


def test_a_converter_may_use_what_its_worker_may():
    """Else the kernel kills it where the worker would have said that a video takes too much."""
    header = (ROOT / "src/sandbox/confine.h").read_text()
    worker = int(re.search(r"CONFINE_DATA_SIZE_MAX \(UINT64_C\((\d+)\) << 20\)", header)[1])
    limit = pod_of("converter")["containers"][0]["resources"]["limits"]["memory"]
    assert limit.endswith("Gi") and int(limit.removesuffix("Gi")) * 1024 >= worker + 64


@pytest.mark.parametrize("name", [*SERVICES, "migrate-TAG"])
def test_a_variable_is_an_option_and_a_file_of_it_is_mounted(name):
    options = subprocess.run(
        [RELEASE / "tapedeck", "config", "options"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"\b[a-z]+\.[a-z_0-9]+\b", options))
    sources = next(volume for volume in pod_of(name)["volumes"] if volume["name"] == "secrets")
    mounted = {
        f"/run/tapedeck/{item['path']}"
        for source in sources["projected"]["sources"]
        for item in next(iter(source.values()))["items"]
    }
    for variable, row in environment_of(name).items():
        if variable == "TAPEDECK_CONFIG":
            continue
        section, key = variable.removeprefix("TAPEDECK_").lower().split("_", 1)
        assert f"{section}.{key.removesuffix('_file')}" in known, variable
        if key.endswith("_file"):
            assert row["value"] in mounted


@pytest.mark.parametrize("path", ["base/tapedeck.ini", "overlays/production/tapedeck.ini"])
def test_the_configuration_is_one_that_the_program_takes(path):
    shown = subprocess.run(
        [RELEASE / "tapedeck", "config", "show", "--config", KUBERNETES / path],
        capture_output=True, text=True,
    )
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("script", ["kubernetes/components/mysql/start", "mysql/secure"])
def test_all_that_the_files_for_mysql_leave_open_is_filled_in(script):
    filled_in = set(re.findall(r"@[A-Z]+@", (DEPLOY / script).read_text()))
    left_open = {name for file in ("server.cnf", "rights.sql")
                 for line in (DEPLOY / "mysql" / file).read_text().splitlines()
                 for name in re.findall(r"@[A-Z]+@", line)}
    assert filled_in == left_open


def test_every_secret_that_is_mounted_is_made():
    made = (DEPLOY / "minikube" / "up").read_text()
    for name in WORKLOADS:
        for volume in pod_of(name)["volumes"]:
            sources = volume.get("projected", {}).get("sources", [volume])
            for source in sources:
                secret = source.get("secret", {})
                wanted = secret.get("name") or secret.get("secretName")
                assert wanted is None or re.search(rf"secret {wanted} ", made), wanted


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a PID namespace everywhere")
def test_a_member_of_mongodb_is_not_held_up_by_its_setup_container():
    """Linux gives process 1 of a container no signal that it has no handler for."""
    setup = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "bash",
         KUBERNETES / "components/mongodb/setup"],
        env={**os.environ, "HOSTNAME": "mongodb-1"},
    )
    try:
        children = f"/proc/{setup.pid}/task/{setup.pid}/children"
        end = time.monotonic() + 10
        while setup.poll() is None and time.monotonic() < end:
            with open(children) as listed:
                for process in listed.read().split():
                    os.kill(int(process), signal.SIGTERM)
            time.sleep(0.2)
        assert setup.poll() == 0
    finally:
        setup.kill()
        setup.wait()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_can_be_built(overlay):
    built = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / "overlays" / overlay], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    found = [d for d in yaml.safe_load_all(built.stdout)]
    assert {d["metadata"].get("namespace", "tapedeck") for d in found} == {"tapedeck"}
    images = {
        container["image"]
        for d in found if "template" in d.get("spec", {})
        for container in d["spec"]["template"]["spec"]["containers"]
    }
    assert all(re.search(r":[^:/]+$", image) for image in images), images
    tag = next(image for image in images if "tapedeck:" in image).rsplit(":", 1)[1]
    assert f"migrate-{tag}" in {d["metadata"]["name"] for d in found if d["kind"] == "Job"}
    assert not [d for d in found if d["kind"] == "Secret"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
def test_auth_and_gateway_are_reached_by_tls_alone_in_production():
    built = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / "overlays/production"], capture_output=True, text=True,
        check=True,
    )
    found = {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(built.stdout)}
    plain = (KUBERNETES / "overlays/production/tapedeck.ini").read_text()
    for name in ("auth", "gateway"):
        pod = found["Deployment", name]["spec"]["template"]["spec"]
        [proxy] = pod["initContainers"]
        [port] = proxy["ports"]
        [service] = found["Service", name]["spec"]["ports"]
        [rule] = found["NetworkPolicy", name]["spec"]["ingress"]
        assert service["targetPort"] == rule["ports"][0]["port"] == port["containerPort"]
        [behind] = [row["value"] for row in proxy["env"]]
        assert f"[{name}]" in plain and f"listen = 127.0.0.1:{behind}\n" in plain
        assert {mount["name"] for mount in proxy["volumeMounts"]} <= {
            volume["name"] for volume in pod["volumes"]}
    [path] = found["Ingress", "gateway"]["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["port"] == {"name": service["name"]}


def test_a_signing_key_that_is_made_for_a_cluster_is_one_of_auths(tmp_path):
    made = subprocess.run(
        ["bash", "-euc", '. "$0"; work=$1; umask 077; signing_key "$work/keys"',
         KUBERNETES / "secrets.sh", tmp_path],
        capture_output=True, text=True,
    )
    assert made.returncode == 0, made.stderr
    [file] = (tmp_path / "keys").iterdir()
    deck = Deck(tmp_path / "deck")
    try:
        deck.start_auth({"auth.keys_dir": tmp_path / "keys"})
        [key] = requests.get(f"{deck.auth_url}/.well-known/jwks.json").json()["keys"]
        assert file.name == f"{key['kid']}.key.json"
        token = requests.post(f"{deck.auth_url}/login", auth=ANNA).text
        assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    finally:
        deck.close()


def run_with_kubectl(tmp_path, script, *arguments, answers="", environment=()):
    """With a kubectl that gives these answers, cases of bash by its arguments; and the arguments of all
    its calls, one call a line."""
    kubectl, calls = tmp_path / "kubectl", tmp_path / "calls"
    calls.write_text("")
    kubectl.write_text(f"""#!/bin/bash
        echo "$*" | tr '\\n' ' ' >>{calls}
        echo >>{calls}
        case "$*" in
        {answers}
        esac
""")
    kubectl.chmod(0o755)
    done = subprocess.run(
        [DEPLOY / script, *arguments], capture_output=True, text=True, timeout=120,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "UP_WAIT_SECONDS": "30", **dict(environment)},
    )
    return done, calls.read_text().splitlines()


def workloads_are(**rows):
    """What `kubectl get` says of the services and one store; ready but for what is named."""
    rows = {"mysql": READY, **dict.fromkeys(SERVICES, READY), **rows}
    kinds = {"mysql": "StatefulSet"}
    lines = [f"'{kinds.get(name, 'Deployment')}/{name}|{row}'" for name, row in rows.items() if row]
    return f"*get\\ statefulsets*) printf '%s\\n' {' '.join(lines)} ;;\n"


READY = "1|1|1|1|1|1"
WORKLOADS_READY = workloads_are()


def test_the_commands_of_the_readme_make_all_that_it_lists(tmp_path):
    page = (KUBERNETES / "README.md").read_text()
    rows = re.findall(r"^   \| (?:Secret|ConfigMap) \| (.*?) \|", page, re.M)
    listed = [name for row in rows for name in re.findall(r"`(.*?)`", row)]
    [commands] = [block for block in re.findall(r"^   ```sh\n(.*?)^   ```$", page, re.M | re.S)
                  if "private=" in block]
    private, created = tmp_path / "tapedeck-private", tmp_path / "created"
    private.mkdir()
    for name in ("mongodb.uri", "rabbitmq.uri", "rabbitmq-migrate.uri", "app.uri", "migrate.uri",
                 "smtp.uri", "gateway-tls.pem", "gateway-tls.key", "servers-ca.pem"):
        (private / name).write_text("\n")
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"""#!/bin/bash
        [[ $1 != --* ]] || shift 2
        [[ $1 != --* ]] || shift 2
        case "$1 $2" in
        "config current-context") echo here ;;
        "create secret") echo "$4" >>{created} ;;
        "create configmap") echo "$3" >>{created} ;;
        esac
        for argument; do
            case $argument in
            --cert=* | --key=* | --from-file=*) [ -s "${{argument##*=}}" ] || exit 1 ;;
            esac
        done
""")
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, capture_output=True, text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert sorted(created.read_text().split()) == sorted(listed)

    # The certificates, and those that come after them by the same authority.
    [renewal] = re.findall(r"^ *bash -euc '[^']*' .*$", commands, re.M)
    for _ in range(2):
        for name in ("auth", "gateway"):
            subprocess.run(
                ["openssl", "verify", "-CAfile", private / "authorities.pem", "-verify_hostname",
                 name, private / name / "server.pem"], check=True, capture_output=True)
        before = (private / "auth/server.pem").read_bytes()
        subprocess.run(["bash", "-euc", f"private={private}\n{renewal}"], cwd=ROOT, check=True)
        assert (private / "auth/server.pem").read_bytes() != before


@pytest.fixture
def backup_of_a_cluster(tmp_path):
    """A folder as `backup` writes them, its key, and for whom it is encrypted."""
    key, folder = tmp_path / "key", tmp_path / "backup"
    folder.mkdir()
    subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    recipient = subprocess.run(
        ["age-keygen", "-y", key], check=True, capture_output=True, text=True
    ).stdout.strip()
    for name in ("accounts.sql", "mongodb.archive", "secrets.yaml"):
        subprocess.run(["age", "--encrypt", "--recipient", recipient, "--output",
                        folder / f"{name}.age"], input=b"x" * 100_000, check=True)
    return folder, key, recipient


def test_a_cluster_is_not_touched_by_a_backup_that_is_not_whole(tmp_path, backup_of_a_cluster):
    folder, key, recipient = backup_of_a_cluster

    def restore(identity=key):
        return run_with_kubectl(tmp_path, "kubernetes/restore", "--identity", identity, folder,
                                answers="*) exit 1 ;;")

    for file in folder.iterdir():
        whole = file.read_bytes()
        file.write_bytes(whole[:-1])
        refused, calls = restore()
        assert refused.returncode == 1 and f"{file} cannot be decrypted" in refused.stderr
        assert not calls
        file.unlink()
        refused, calls = restore()
        assert f"there is no {file.name} in" in refused.stderr and not calls
        subprocess.run(["age", "--encrypt", "--recipient", recipient, "--output", file],
                       input=b"", check=True)
        refused, calls = restore()
        assert f"{file} is empty" in refused.stderr and not calls
        file.write_bytes(whole)
    refused, calls = restore(tmp_path / "nothing")
    assert "nothing cannot be read" in refused.stderr and not calls
    shutil.rmtree(folder)
    refused, calls = restore()
    assert "there is no folder" in refused.stderr and not calls


TO_MYSQL = WORKLOADS_READY + "*port-forward*) echo 'Forwarding from 127.0.0.1:9 -> 3306' ;;"


def restore_backup(tmp_path, backup, answers, **environment):
    folder, key, _ = backup
    return run_with_kubectl(tmp_path, "kubernetes/restore", "--identity", key, folder,
                            answers=answers, environment=environment)


@pytest.mark.parametrize("answers, environment, said", [
    ("*get*deployments\\ -l*) exit 1 ;;", {}, "nothing was changed"),
    ("*mongorestore*) exit 1 ;;", {}, "has no mongorestore: use"),
    ("", {"MONGODB_LOAD": "/nowhere/load --all"}, "there is no command /nowhere/load"),
])
def test_services_are_not_stopped_for_what_cannot_be_restored(
        tmp_path, backup_of_a_cluster, answers, environment, said):
    refused, calls = restore_backup(
        tmp_path, backup_of_a_cluster, answers + TO_MYSQL, **environment)
    assert refused.returncode == 1 and said in refused.stderr
    assert not [call for call in calls if " scale " in call]


# The second was stopped by a restore that did not come to its end, the third is off on purpose.
SCALES = "*get*deployments\\ -l*) printf '%s\\n' 'gateway 3' 'converter 2 0' 'notifier 0' ;;"


def scaled_to(calls):
    return [re.search(r"scale deployment (\S+) --replicas=(\d+)", call).groups()
            for call in calls if " scale " in call]


def test_a_restore_that_cannot_stop_the_services_starts_them_again(tmp_path, backup_of_a_cluster):
    failed, calls = restore_backup(
        tmp_path, backup_of_a_cluster, "*' wait '*) exit 1 ;;" + SCALES + TO_MYSQL)
    assert failed.returncode == 1 and "before anything was replaced" in failed.stderr
    assert scaled_to(calls) == [("gateway", "0"), ("converter", "0"), ("notifier", "0"),
                                ("gateway", "3"), ("converter", "2"), ("notifier", "0")]


def test_a_restore_that_fails_says_what_has_become_of_the_services(tmp_path, backup_of_a_cluster):
    failed, calls = restore_backup(tmp_path, backup_of_a_cluster, SCALES + TO_MYSQL)
    assert failed.returncode == 1 and "with the services stopped" in failed.stderr
    assert scaled_to(calls) == [("gateway", "0"), ("converter", "0"), ("notifier", "0")]
    assert [call for call in calls if "annotate deployment converter --overwrite tapedeck/replicas=2" in call]


@pytest.mark.parametrize("answers, said", [
    ("*mongodump*) exit 1 ;;", "has no mongodump: use"),
    ("", "has no URI"),
])
def test_a_backup_that_fails_leaves_nothing(tmp_path, backup_of_a_cluster, answers, said):
    _, _, recipient = backup_of_a_cluster
    to = tmp_path / "to"
    to.mkdir()
    failed, _ = run_with_kubectl(
        tmp_path, "kubernetes/backup", "--recipient", recipient, "--to", to,
        answers=answers + TO_MYSQL)
    assert failed.returncode == 1 and said in failed.stderr
    assert not list(to.iterdir())


def test_a_backup_without_records_is_none(tmp_path, backup_of_a_cluster):
    folder, _, recipient = backup_of_a_cluster
    to = tmp_path / "to"
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "deploy/mysql/backup").write_text(
        f"#!/bin/sh\nmv {folder}/accounts.sql.age {tmp_path} && echo {tmp_path}/accounts.sql.age\n")
    refused, _ = run_with_kubectl(
        tmp_path, tmp_path / "deploy/kubernetes/backup", "--recipient", recipient, "--to", to,
        answers=TO_MYSQL, environment={"MONGODB_DUMP": "true"})
    assert refused.returncode == 1 and "true wrote nothing" in refused.stderr
    assert not list(to.iterdir())


IN_CLUSTER = ["kubernetes/backup", "kubernetes/restore", "kubernetes/rotate-keys", "minikube/down",
              "minikube/logs", "minikube/queues", "minikube/status", "minikube/up"]
SCRIPTS = [*IN_CLUSTER, "compose/prepare", "container/base", "container/check", "mysql/backup",
           "mysql/restore", "mysql/secure"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_is_called_wrongly_says_how_it_is_called(tmp_path, script):
    told, calls = run_with_kubectl(tmp_path, script, "--nonsense")
    assert told.returncode == 2 and not calls
    assert f"deploy/{script}" in told.stderr and "shellcheck" not in told.stderr
    asked = subprocess.run([DEPLOY / script, "--help"], capture_output=True, text=True)
    assert asked.returncode == 0 and asked.stdout and told.stderr.startswith(asked.stdout)


@pytest.mark.parametrize("script", IN_CLUSTER)
def test_no_cluster_is_taken_for_another_where_a_variable_was_not_set(tmp_path, script):
    refused, calls = run_with_kubectl(tmp_path, script, "--context", "")
    assert refused.returncode == 1 and "--context is empty" in refused.stderr
    assert not calls


AUTH_RUNS = """
    *status.phase*) echo 'auth-1|auth|service|Running|' ;;
    *"get pods -o wide") echo auth-1 ;;
    */metrics) echo 'tapedeck_queue_length{queue="video"} 0' ;;
"""
AUTH_IS_READY = """
    */readyz) echo '{"ready":true,"checks":[{"name":"users","ok":true}]}' ;;
"""


def test_status_says_what_is_not_ready_and_why(tmp_path):
    def status(answers):
        return run_with_kubectl(tmp_path, "minikube/status", answers=answers)[0]

    well = status(WORKLOADS_READY + AUTH_RUNS + AUTH_IS_READY)
    assert well.returncode == 0 and re.search(r"^auth-1 +ready$", well.stdout, re.M), well.stderr

    waits = status(WORKLOADS_READY + AUTH_RUNS + """
        */readyz) echo '{"ready":false,"checks":[{"name":"users","ok":false,"reason":"refused"}]}' ;; """)
    assert waits.returncode == 1
    assert re.search(r"^auth-1 +NOT READY  users: refused", waits.stdout, re.M)

    stopping = status(WORKLOADS_READY + AUTH_RUNS + """
        */readyz) echo '{"ready":false,"checks":[{"name":"users","ok":true}]}' ;; """)
    assert stopping.returncode == 1 and "NOT READY  says so, and not why" in stopping.stdout

    silent = status(WORKLOADS_READY + AUTH_RUNS + "*/readyz) exit 1 ;;")
    assert silent.returncode == 1 and "NOT READY  does not answer" in silent.stdout

    pending = status(WORKLOADS_READY + """
        *status.phase*) echo 'auth-1|auth|service|Pending|image "tapedeck:9" is not present' ;;
    """ + AUTH_RUNS)
    assert pending.returncode == 1
    assert 'NOT READY  image "tapedeck:9" is not present' in pending.stdout

    runs = AUTH_RUNS + AUTH_IS_READY
    off = status(workloads_are(converter="0||||2|2", gateway="2|2|1|2|3|3") + runs)
    assert off.returncode == 1
    assert "deployment/converter         off" in off.stdout
    assert "deployment/gateway           not all ready: 1 of 2 pods are" in off.stdout

    missing = status(workloads_are(notifier=None) + runs)
    assert missing.returncode == 1 and "deployment/notifier          missing" in missing.stdout

    # An older pod is left, one too many, or the newest change was not looked at yet.
    for rollout in ("2|1|2|2|1|1", "2|2|2|3|1|1", "2|2|2|2|2|1"):
        begun = status(workloads_are(auth=rollout) + runs)
        assert begun.returncode == 1 and "not all ready" in begun.stdout, rollout

    crashes = status(WORKLOADS_READY + """
        *status.phase*) echo 'auth-1|auth|service|Running|back-off 40s restarting failed container' ;;
        *--previous*) echo 'error: auth.listen = here' ;;
    """ + AUTH_RUNS)
    assert crashes.returncode == 1 and "NOT READY  error: auth.listen = here" in crashes.stdout

    said_nothing = status(WORKLOADS_READY + """
        *status.phase*) echo 'auth-1|auth|service|Running|back-off 40s restarting failed container' ;;
    """ + AUTH_RUNS)
    assert "NOT READY  back-off 40s" in said_nothing.stdout

    nobody = status(WORKLOADS_READY + AUTH_IS_READY + "*/metrics) exit 1 ;;" + AUTH_RUNS)
    assert nobody.returncode == 1 and "nobody says what waits" in nobody.stderr

    assert "there is no Tapedeck" in status("").stderr
    assert "does not answer" in status("*) exit 1 ;;").stderr


def test_queues_are_told_from_what_the_services_say(tmp_path):
    told, calls = run_with_kubectl(tmp_path, "minikube/queues", answers=WORKLOADS_READY + """
        *exec\\ deploy/converter*) cat <<'END'
HTTP/1.1 200 OK

# HELP tapedeck_queue_length Messages that wait.
tapedeck_queue_length{service="converter",queue="video"} 3
tapedeck_overdue_seconds{service="converter",role="convert"} 12.5
END
        ;;
        *exec\\ deploy/gateway*) echo 'tapedeck_queue_length{service="gateway",queue="video"} 12' ;;
        *) exit 1 ;;
""")
    assert told.stdout == "convert  overdue by 12.5 s\nvideo    12 messages wait\n"
    assert "no notifier answers" in told.stderr and told.returncode == 0
    # A service that is not there is not waited for, for a minute.
    assert all("--pod-running-timeout=" in call for call in calls if " exec " in call)


class Refusing(http.server.BaseHTTPRequestHandler):
    """As a gateway does without a token."""

    def do_GET(self):
        self.send_error(401)

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway_address():
    server = http.server.HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def up(tmp_path, *arguments, answers):
    """In a copy of deploy, since it writes to a folder beside."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    return run_with_kubectl(
        tmp_path, tmp_path / "deploy/minikube/up", "--no-sample", *arguments,
        answers=answers + WORKLOADS_READY + """
        *get\\ job/migrate-1*) echo 1 ;;
        *get\\ configmap*) echo configmap/authorities ;;
        *get\\ secret*) echo eW91QGV4YW1wbGUub3Jn ;;
        *user\\ list*) echo "2026-11-24T10:00:00Z  enabled  you@example.org" ;;
    """)


@pytest.mark.parametrize("failing", ["get statefulsets", "get job/migrate-1"])
def test_up_goes_on_when_the_cluster_does_not_answer_once(tmp_path, gateway_address, failing):
    done, _ = up(tmp_path, "--context", "c", "--image", "tapedeck:1", "--address", gateway_address, answers=f"""
        *"{failing}"*) if [ ! -e {tmp_path}/failed ]; then
                touch {tmp_path}/failed
                echo "Unable to connect to the server: TLS handshake timeout" >&2
                exit 1
            fi ;;&
    """)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "failed").exists() and "handshake" in done.stderr
    assert "deployment/gateway is ready" in done.stdout and "job/migrate-1 is done" in done.stdout


def test_up_waits_for_a_namespace_that_is_being_deleted(tmp_path):
    _, calls = up(tmp_path, "--context", "c", "--image", "tapedeck:1",
                  answers="*get\\ namespace*) echo -n Terminating ;; *apply*) exit 1 ;;")
    waits = [number for number, call in enumerate(calls) if "wait --for=delete namespace/tapedeck" in call]
    applies = [number for number, call in enumerate(calls) if " apply " in call]
    assert waits and applies and waits[0] < applies[0]


def test_up_ends_where_a_service_is_scaled_to_nothing(tmp_path):
    ended, _ = up(tmp_path, "--context", "c", "--image", "tapedeck:1",
                  answers=workloads_are(converter="0||||2|2"))
    assert ended.returncode == 1
    assert "kubectl --context c -n tapedeck scale --replicas=1 deployment/converter" in ended.stderr


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
def test_another_address_replaces_the_pods_that_write_it_into_mails(tmp_path, gateway_address):
    """Links in mails begin with it, and a container keeps the environment that it was started with."""
    up(tmp_path, "--context", "c", "--image", "tapedeck:1", "--address", gateway_address, answers="")
    built = subprocess.run(["kubectl", "kustomize", tmp_path / "build-minikube"],
                           capture_output=True, text=True, check=True)
    found = {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(built.stdout)}
    [name] = [name for kind, name in found if kind == "ConfigMap" and name.startswith("address-")]
    assert found["ConfigMap", name]["data"] == {"public_url": gateway_address}
    for service in ("gateway", "notifier"):
        [container] = found["Deployment", service]["spec"]["template"]["spec"]["containers"]
        assert {"name": "TAPEDECK_GATEWAY_PUBLIC_URL", "valueFrom": {
            "configMapKeyRef": {"name": name, "key": "public_url"}}} in container["env"]


@pytest.mark.parametrize("there, is_made", [
    ("you@example.org", False), ("not-you@example.org", True), ("you@example.organic", True),
])
def test_up_makes_the_first_account_where_it_is_missing(tmp_path, gateway_address, there, is_made):
    done, calls = up(tmp_path, "--context", "c", "--image", "tapedeck:1", "--address", gateway_address,
                     answers=f"*user\\ list*) echo '2026-11-24T10:00:00Z  enabled  {there}' ;;")
    assert done.returncode == 0, done.stderr
    assert any("user add you@example.org --admin" in call for call in calls) == is_made


@pytest.mark.parametrize("is_built", [True, False])
def test_up_looks_whether_minikube_has_built_the_image(tmp_path, is_built):
    """`minikube image build` exits with 0 even where it has not."""
    minikube = tmp_path / "minikube"
    minikube.write_text(f"""#!/bin/bash
        case "$*" in
        *"image build"*) echo "docker.io/library/$6" >{tmp_path}/built ;;
        *"image ls") {"cat" if is_built else "true"} {tmp_path}/built 2>/dev/null ;;
        esac
""")
    minikube.chmod(0o755)
    refused, calls = run_with_kubectl(tmp_path, "minikube/up", answers="*apply*) exit 1 ;;")
    assert refused.returncode == 1 and (tmp_path / "built").exists()
    assert ("the image was not built" not in refused.stderr) == is_built
    assert any(" apply " in call for call in calls) == is_built


def test_logs_of_one_conversion_are_those_of_its_requests_too(tmp_path):
    lines = [
        "time=3 service=converter request=r1 event=done conversion=c1 mp3=m1",
        "time=1 service=gateway request=r1 event=request",
        "time=2 service=gateway request=r2 event=request",
        "time=4 service=notifier event=sent conversion=c1",
    ]

    said = "\n".join(lines)

    def logs(what):
        return run_with_kubectl(tmp_path, "minikube/logs", what, answers=WORKLOADS_READY + f"*) echo '{said}' ;;")

    for what in ("c1", "m1"):
        told, [_, call] = logs(what)
        assert told.stdout.splitlines() == [lines[1], lines[0], lines[3]]
        # A pod that has not started yet would end all else.
        assert "--ignore-errors" in call
    unknown, _ = logs("c2")
    assert unknown.returncode == 1 and "that is there now has said anything of c2" in unknown.stderr


def test_logs_go_on_with_pods_that_start_later(tmp_path):
    """kubectl by itself follows those alone that are there when it begins."""
    kubectl, looks = tmp_path / "kubectl", tmp_path / "looks"
    kubectl.write_text(f"""#!/bin/bash
        case "$*" in
        {WORKLOADS_READY}
        *jsonpath*)
            echo look >>{looks}
            echo old-1 containerd://1
            echo 'new-1 '
            [ "$(wc -l <{looks})" -eq 1 ] || echo late-1 containerd://2
            ;;
        *logs*) echo "$*" && exec sleep 60 ;;
        esac
""")
    kubectl.chmod(0o755)
    following = subprocess.Popen(
        ["timeout", "30", DEPLOY / "minikube/logs"], stdout=subprocess.PIPE, text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    try:
        followed = [following.stdout.readline() for _ in range(2)]
    finally:
        following.terminate()
        following.wait()
    assert "--tail=20 old-1" in followed[0] and "--tail=-1 late-1" in followed[1]


@pytest.mark.parametrize("arguments, said", [
    (["--image", "tapedeck"], "say NAME:TAG"),
    (["--image", "tapedeck@sha256:0123"], "say NAME:TAG"),
    (["--image", "tapedeck:1.0@sha256:0123"], "say NAME:TAG"),
    (["--image", "tapedeck:Release_1"], "say NAME:TAG"),
    (["--image", f"tapedeck:{'1' * 56}"], "at most 55"),
    (["--image", "tapedeck:1", "--address", "tapedeck.example"], "say http://HOST"),
    (["--image", "tapedeck:1", "--address", "http://x y"], "say http://HOST"),
    ([], "by --load-image how an image gets"),
    (["--overlay", "/nowhere"], "no kustomization.yaml"),
    (["/tmp"], "no file that can be read"),
])
def test_up_refuses_what_cannot_work_before_it_changes_anything(tmp_path, arguments, said):
    refused, calls = run_with_kubectl(tmp_path, "minikube/up", "--context", "c", *arguments)
    assert refused.returncode == 1 and said in refused.stderr
    assert not calls


def rotate_keys(tmp_path, answers):
    """And the arguments with which something is to be made."""
    done, calls = run_with_kubectl(tmp_path, "kubernetes/rotate-keys", answers=f"""
        *"config current-context") echo here ;;
        {answers}
    """)
    return done, next((call for call in calls if " create " in call), "").split()


def test_a_new_signing_key_joins_those_that_are_still_needed(tmp_path):
    """The one that was replaced long ago goes, the one that it was replaced by stays."""
    kept = {"old.key.json": 1_000, "last.key.json": 2_000}
    files = {name: base64.b64encode(b'{"created_at_ms":%d000,' % made_at).decode()
             for name, made_at in kept.items()}
    rows = "".join(f"{name} {file}\n" for name, file in files.items())
    done, made = rotate_keys(tmp_path, f"""
        *"-o name") echo secret/signing-keys ;;
        *go-template*) printf '%s' '{rows}' ;;
    """)
    assert done.returncode == 0, done.stderr
    names = [os.path.basename(argument) for argument in made if argument.startswith("--from-file=")]
    assert "2 signing keys" in done.stdout and len(names) == 2
    assert "last.key.json" in names and "old.key.json" not in names


def test_keys_that_tokens_still_need_are_not_removed(tmp_path):
    refused, calls = run_with_kubectl(tmp_path, "kubernetes/rotate-keys", "--keep-days", "0")
    assert refused.returncode == 1 and "a number of days from 1" in refused.stderr and not calls


def test_keys_are_not_replaced_where_the_cluster_does_not_answer(tmp_path):
    done, made = rotate_keys(tmp_path, """
        *" get "*) echo "The connection to the server was refused" >&2; exit 1 ;;
    """)
    assert done.returncode == 1 and "signing-keys, as kubectl says above" in done.stderr
    assert not made

"""The checks that `run` lists."""

import json
import time

import usage
from cluster import ROOT, SERVICES, STORES, Client, Load, Mails, make_video, own_account, table, wait_for

SHORT_SECONDS = 5


def is_converting(client, conversion):
    return client.get(conversion)["state"] == "converting"


def delete_one_pod(kubectl, name, *how):
    """When another one is ready."""
    victim = kubectl.pods(name)[0]["metadata"]
    kubectl("delete", "pod", victim["name"], "--wait=false", *how)
    return lambda: wait_for(
        lambda: victim["uid"] not in [pod["metadata"]["uid"] for pod in kubectl.pods(name)]
        and kubectl.is_ready(name),
        f"another pod of {name}",
    )


def set_drain(kubectl, value):
    kubectl("set", "env", "deployment/converter", f"TAPEDECK_STOP_DRAIN_MAX={value}")
    kubectl("rollout", "status", "deployment/converter", "--timeout=300s")
    wait_for(lambda: len(kubectl.pods("converter")) == 1, "one converter")


ENDS, HANDS_BACK, IS_KILLED = "converter", "converter, 0.5 s to end", "converter, killed"


def delete_mid_job(kubectl, client, video, name):
    """The row of one pod: it is deleted while a conversion runs, and what becomes of that."""
    pod = name.split(",")[0]
    wait_for(lambda: client.log_in() is None, "the login", 120)
    conversion = client.upload(video)
    wait_for(lambda: is_converting(client, conversion), "the conversion's begin", 120, 0.1)
    begun = time.monotonic()
    # The kubelet waits for one second, and kills: too short to hand anything back.
    wait = delete_one_pod(kubectl, pod, *(["--grace-period=1"] if name == IS_KILLED else []))
    was = wait_for(lambda: client.get(conversion), "the conversion", 120)
    wait()
    back = time.monotonic() - begun
    found = client.wait_until_told(conversion)
    told = time.monotonic() - begun
    mp3 = wait_for(lambda: client.mp3(conversion), "the MP3", 120)
    with Mails(kubectl) as mails:
        mailed = mails.count(conversion)
    return {"was": was, "back": back, "found": found, "told": told, "mp3": mp3, "mailed": mailed}


def pods(kubectl, client, told):
    """Every pod is deleted once while a conversion of its own runs. A converter that has no time to end it
    hands it back; of one that is killed another one takes it over when the lease ends. Mails that the sink
    has in memory go with it, so that they are counted only where it lives on."""
    video, rows, is_well = make_video(told.seconds), [], True
    expected = None
    for name in ("gateway", "auth", ENDS, HANDS_BACK, IS_KILLED, "notifier", *STORES):
        if name == HANDS_BACK:
            set_drain(kubectl, "500ms")
        try:
            row = delete_mid_job(kubectl, client, video, name)
        finally:
            if name == HANDS_BACK:
                set_drain(kubectl, "25s")
        expected = expected or row["mp3"]
        is_same, attempts = row["mp3"] == expected, row["found"]["attempts"]
        wanted = 2 if name in (HANDS_BACK, IS_KILLED) else 1
        row_is_well = (row["was"]["state"] == "converting" and is_same and attempts == wanted
                       and row["mailed"] == 1)
        is_well = is_well and row_is_well
        print(f"{name}: {'ok' if row_is_well else 'FAILED'}", flush=True)
        rows.append((name, row["was"]["state"], f"{row['back']:.1f}", f"{row['told']:.1f}",
                     row["found"]["state"], attempts, "same" if is_same else "OTHER", row["mailed"],
                     "ok" if row_is_well else "FAILED"))
    table(
        "Every pod deleted once while a conversion runs",
        ("pod", "when deleted", "next one ready after s", "mail after s", "state", "attempts", "MP3",
         "mails", ""), rows,
    )
    return is_well


def image_of(kubectl, name):
    return kubectl.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"]


def going(kubectl):
    pods = kubectl.get("pods", "-l", "app.kubernetes.io/component=service")["items"]
    return [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]


def stream(kubectl, client):
    """Uploads, questions and downloads, by connections that are kept and by fresh ones."""
    video = make_video(SHORT_SECONDS)
    client = Client(kubectl, client.address, own_account(kubectl))
    conversion = client.upload(video, notify="none")
    wait_for(lambda: client.get(conversion)["state"] == "done", "a first conversion", 120)
    load = Load()
    kept = Client(kubectl, client.address, client.account)

    def fresh():
        one = Client.__new__(Client)
        one.__dict__ = {**client.__dict__}
        one.session = type(client.session)()
        one.session.trust_env = False
        one.session.headers.update(client.session.headers)
        return one

    def asked_by_a_fresh_connection():
        with fresh().session as session:
            session.get(f"{client.address}/v1/conversions/{conversion}", timeout=30).raise_for_status()

    load.start("upload", lambda: fresh().upload(video, notify="none"), 0.3)
    load.start("status, connection kept", lambda: kept.get(conversion), 0.02)
    load.start("status, new connection", asked_by_a_fresh_connection, 0.05)
    load.start("download", lambda: fresh().mp3(conversion), 0.1)
    load.start("login", lambda: Client(kubectl, client.address, client.account), 0.5)
    return load


def rollout(kubectl, client, told):
    """To told.image, and back as docs/operations.md says it: by `rollout undo`."""
    before = {name: image_of(kubectl, name) for name in SERVICES}
    load, rows, is_back = stream(kubectl, client), [], True
    time.sleep(5)
    for how in ("set image", "rollout undo"):
        for name in SERVICES:
            begun = time.monotonic()
            if how == "set image":
                kubectl("set", "image", f"deployment/{name}", f"{name}={told.image}")
            else:
                kubectl("rollout", "undo", f"deployment/{name}")
            kubectl("rollout", "status", f"deployment/{name}", "--timeout=300s")
            now = image_of(kubectl, name)
            rows.append((how, name, now, f"{time.monotonic() - begun:.1f}"))
            is_back = is_back and now == (told.image if how == "set image" else before[name])
    # Those that go still serve what comes while the news of it gets around.
    wait_for(lambda: not going(kubectl), "the end of those that go")
    load.stop()
    table("Another image rolled out, and back", ("by", "service", "image", "s"), rows)
    table("Requests meanwhile", ("request", "count", "failed", "slowest s"), load.rows())
    for failure in load.failures[:20]:
        print(f"  {failure}")
    return is_back and told.image not in before.values() and not load.failures


def use(kubectl, client, told):
    return usage.measure(kubectl, client, told, stream)


def converters(kubectl, client, told):
    video, rows, asked = make_video(told.seconds), [], []
    for count in (1, 3, 1):
        kubectl("scale", "deployment/converter", f"--replicas={count}")
        wait_for(
            lambda: len(kubectl.pods("converter")) == count and kubectl.is_ready("converter"),
            f"{count} converters",
        )
        begun = time.monotonic()
        asked += [client.upload(video, notify="none") for _ in range(3)]
        most = 0
        end = time.monotonic() + 20
        while time.monotonic() < end:
            most = max(most, sum(is_converting(client, one) for one in asked))
            time.sleep(0.2)
        rows.append((count, most, sum(client.get(one)["state"] == "done" for one in asked), len(asked),
                     f"{time.monotonic() - begun:.0f}"))
    found = [
        wait_for(lambda one=one: client.get(one)["state"] in ("done", "failed") and client.get(one),
                 "the end of all", 1800)
        for one in asked
    ]
    done = sum(one["state"] == "done" for one in found)
    rows.append(("end", 0, done, len(asked), ""))
    table(
        "Converters: 1, 3, 1, with three more uploads each time",
        ("converters", "at work at once", "done so far", "of", "s"), rows,
    )
    return done == len(asked) and rows[1][1] >= 2


AUTOSCALING = ROOT / "deploy/kubernetes/components/autoscaling/autoscaling.yaml"
# How long it waits before there are fewer, so that the check need not.
WAITS = ("stabilizationWindowSeconds: 600", "periodSeconds: 120")


def autoscaling(kubectl, client, told):
    """With the component, but a shorter wait: more converters while videos wait, fewer when none does."""
    text = AUTOSCALING.read_text()
    for wait in WAITS:
        assert wait in text, wait
        text = text.replace(wait, f"{wait.split(':')[0]}: 15")
    scaled = [name for name in SERVICES if f"name: {name}\n" in text]
    before = {name: kubectl.get("deployment", name)["spec"]["replicas"] for name in scaled}
    video, rows, asked = make_video(told.seconds), [], []
    begun = time.monotonic()

    def look(what):
        hpa = kubectl.get("hpa", "converter")
        metrics = hpa["status"].get("currentMetrics") or [{}]
        used = metrics[0].get("resource", {}).get("current", {}).get("averageUtilization", "unknown")
        rows.append((what, f"{time.monotonic() - begun:.0f}", used, hpa["status"].get("desiredReplicas", 0)))

    def count():
        """Ready ones: a small node has not got what all of them request."""
        return kubectl.get("deployment", "converter")["status"].get("readyReplicas", 0)

    def keep_busy():
        waiting = [one for one in asked if client.get(one)["state"] in ("queued", "converting")]
        asked.extend(client.upload(video, notify="none") for _ in range(6 - len(waiting)))

    def are_more():
        keep_busy()
        return count() > 2

    try:
        kubectl("apply", "-f", "-", text=text)
        wait_for(lambda: all(kubectl.get("deployment", name)["status"].get("readyReplicas") == 2
                             for name in scaled), "two of each")
        look("two of each")
        wait_for(are_more, "a third converter", 600, 1)
        look(f"{count()} converters are ready")
        for one in asked:
            wait_for(lambda one=one: client.get(one)["state"] in ("done", "failed"), "the end of all", 1800)
        look(f"all {len(asked)} conversions have ended")
        wait_for(lambda: count() == 2 and len(kubectl.pods("converter")) == 2, "two converters", 900)
        look("two converters again")
        print(kubectl("get", "hpa"))
    finally:
        kubectl("delete", "-f", "-", "--ignore-not-found", text=text, check=False)
        for name in scaled:
            kubectl("scale", f"deployment/{name}", f"--replicas={before[name]}")
    done = sum(client.get(one)["state"] == "done" for one in asked)
    table("Converters by load", ("what", "after s", "% of the requested CPU", "wanted"), rows)
    print(f"{done} of {len(asked)} conversions are done")
    return done == len(asked)


def drain(kubectl, client, told):
    [node, *others] = [item["metadata"]["name"] for item in kubectl.get("nodes")["items"]]
    if others:
        print("drain: there are other nodes; only the first is drained")
    conversion = client.upload(make_video(told.seconds))
    wait_for(lambda: is_converting(client, conversion), "the conversion's begin", 120, 0.1)
    rows, begun = [], time.monotonic()

    def note(what):
        rows.append((what, f"{time.monotonic() - begun:.1f}"))

    kubectl("cordon", node)
    note("cordoned")
    try:
        kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force",
                "--timeout=300s", "--pod-selector=app.kubernetes.io/component=service")
        note("drained: services ended")
        pending = [pod for name in SERVICES for pod in kubectl.pods(name)]
        note(f"{sum(pod['status']['phase'] == 'Pending' for pod in pending)} pods wait for a node")
    finally:
        kubectl("uncordon", node)
    note("uncordoned")
    wait_for(lambda: all(kubectl.is_ready(name) for name in SERVICES), "all services")
    note("all services are ready")
    found = client.wait_until_told(conversion)
    note(f"the conversion is {found['state']}, attempts {found['attempts']}")
    table("The node cordoned, drained and uncordoned", ("what", "after s"), rows)
    return found["state"] == "done"


# From ARCHITECTURE.md: who calls whom.
ARROWS = {
    ("gateway", "auth:5000"), ("gateway", "mongodb:27017"), ("gateway", "rabbitmq:5671"),
    ("auth", "mysql:3306"),
    ("converter", "mongodb:27017"), ("converter", "rabbitmq:5671"),
    ("notifier", "mongodb:27017"), ("notifier", "rabbitmq:5671"), ("notifier", "mail-sink:1025"),
    ("migrate", "mongodb:27017"), ("migrate", "rabbitmq:5671"), ("migrate", "mysql:3306"),
}
# Each is a pod's port; mongodb-0.mongodb:27017 is reached by the name mongodb as well.
TARGETS = ["gateway:8080", "gateway:9090", "auth:5000", "auth:9090", "converter:9090", "notifier:9090",
           "mongodb:27017", "rabbitmq:5671", "mysql:3306", "mail-sink:1025", "mail-sink:8025"]
# Who looks up names.
ARROWS |= {(name, "DNS:53") for name in
           ("gateway", "auth", "converter", "notifier", "migrate", "mongodb")}
ARROWS |= {("mongodb", "mongodb:27017")}  # members of the set


def probe_pod(image, name):
    """As one of `name` to the policies, since they look at labels; it serves nothing."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"probe-{name}", "labels": {"app.kubernetes.io/name": name, "probe": "yes"}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            # Never ready, so that no Service sends anything to it.
            "containers": [{
                "name": "probe", "image": image, "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "600"],
                "readinessProbe": {"exec": {"command": ["false"]}},
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                    "capabilities": {"drop": ["ALL"]}},
            }],
        },
    }


TRY = """
for target; do
    {
        host=${target%:*} port=${target##*:}
        if timeout 3 bash -c "exec 3<>/dev/tcp/$host/$port" 2>/dev/null; then echo "$target open"
        else echo "$target closed"; fi
    } &
done
wait
"""


def policies(kubectl, client, told):
    image = image_of(kubectl, "gateway")
    addresses = {}
    for target in TARGETS:
        name, port = target.rsplit(":", 1)
        addresses[target] = f"{kubectl.pods(name)[0]['status']['podIP']}:{port}"
    # The node itself, with the API server on it, is no pod: many networks' policies do not hold it.
    [dns, *_] = kubectl.get("pods", "--namespace=kube-system", "-l", "k8s-app=kube-dns")["items"]
    for port in (53, 9153):
        addresses[f"DNS:{port}"] = f"{dns['status']['podIP']}:{port}"
    sources = [*SERVICES, "migrate", *STORES, "stranger"]
    rows, wrong = [], []
    try:
        for name in sources:
            kubectl("apply", "-f", "-", text=json.dumps(probe_pod(image, name)))
        for name in sources:
            wait_for(
                lambda: kubectl.get("pod", f"probe-{name}")["status"]["phase"] == "Running",
                f"the probe {name}", pause=0.2,
            )
        time.sleep(3)  # until the rules of new pods are loaded everywhere
        for name in sources:
            answer = kubectl("exec", f"probe-{name}", "--", "bash", "-c", TRY, "try", *addresses.values())
            is_open = dict(line.rsplit(" ", 1) for line in answer.splitlines())
            cells = []
            for target, address in addresses.items():
                was = is_open[address] == "open"
                wanted = (name, target) in ARROWS
                cells.append(("open" if was else "-") if was == wanted else ("OPEN!" if was else "CLOSED!"))
                if was != wanted:
                    wrong.append(f"{name} -> {target}")
            rows.append((name, *cells))
    finally:
        kubectl("delete", "pods", "-l", "probe=yes", "--wait=false", check=False)
    table("Ways between pods: from (row) to (column)", ("", *addresses), rows)
    print(f"{len(ARROWS)} arrows open, {len(rows) * len(addresses) - len(ARROWS)} others closed"
          if not wrong else f"not as they should be: {', '.join(wrong)}")
    return not wrong

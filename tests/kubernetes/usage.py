"""What each container used while the system was under load, beside what its manifest requests."""

import re
import threading
import time

from cluster import SERVICES, STORES, Client, make_video, own_account, table

MEBI = 1 << 20
LOAD_SECONDS = 120
LOGINS_AT_ONCE = 2
LARGE_SECONDS = 3600  # some 30 MB
METRICS = {
    "container_cpu_usage_seconds_total": "cpu",
    "container_memory_working_set_bytes": "working",
    "container_memory_max_usage_bytes": "peak",
}
LINE = re.compile(r'^(\w+)\{([^}]*)\} (\S+)(?: (\d+))?$')


def samples(kubectl):
    """(container, what, value, time in s) of all nodes' kubelets, as they last looked."""
    for node in kubectl.get("nodes")["items"]:
        path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/metrics/cadvisor"
        for line in kubectl("get", "--raw", path).splitlines():
            found = LINE.match(line)
            if not found or found[1] not in METRICS:
                continue
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found[2]))
            if labels.get("namespace") == "tapedeck" and labels.get("container"):
                yield (labels["container"], labels["pod"], METRICS[found[1]], float(found[3]),
                       int(found[4] or 0) / 1000)


class Watch:
    """Looks again and again; the kubelet itself looks every ten seconds or so."""

    def __init__(self, kubectl):
        self.kubectl = kubectl
        self.last, self.most = {}, {}
        self.cpu, self.seconds = {}, {}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over.is_set():
            self.look()
            self.is_over.wait(3)

    def look(self):
        for container, pod, what, value, at in samples(self.kubectl):
            if what != "cpu":
                self.most[container, what] = max(self.most.get((container, what), 0), value)
                continue
            before, then = self.last.get((container, pod), (value, at))
            self.last[container, pod] = value, at
            # One that was started again counts from nothing.
            if at > then and value >= before:
                self.cpu[container] = self.cpu.get(container, 0) + value - before
                self.seconds[container] = self.seconds.get(container, 0) + at - then
                rate = (value - before) / (at - then)
                self.most[container, "cpu"] = max(self.most.get((container, "cpu"), 0), rate)

    def stop(self):
        self.is_over.set()
        self.thread.join()

    def mean_cpu(self, container):
        return self.cpu.get(container, 0) / (self.seconds.get(container) or 1)


def add_load(load, kubectl, client, told):
    """Beside the steady stream: long conversions, so that there is always one; large uploads, taken back
    when they are there; people who log in at the same time."""
    client = Client(kubectl, client.address, own_account(kubectl))
    long, large = make_video(told.seconds), make_video(LARGE_SECONDS)

    def upload_large():
        one = Client(kubectl, client.address, client.account)
        conversion = one.upload(large, notify="none")
        one.session.delete(f"{one.address}/v1/conversions/{conversion}", timeout=60).raise_for_status()

    load.start("upload of a long one", lambda: client.upload(long, notify="none"), 10)
    load.start("large upload", upload_large, 15)
    for _ in range(LOGINS_AT_ONCE):
        load.start("login", lambda: client.session.__class__().post(
            f"{client.address}/login", auth=client.account, timeout=60).raise_for_status(), 0.1)


def asked_for(kubectl):
    """{container: (cpu, memory, limit)} as the manifests say."""
    found = {}
    for kind in ("deployments", "statefulsets"):
        for item in kubectl.get(kind)["items"]:
            for container in item["spec"]["template"]["spec"]["containers"]:
                resources = container["resources"]
                found[container["name"]] = (
                    resources["requests"]["cpu"], resources["requests"]["memory"],
                    resources["limits"]["memory"],
                )
    return found


def mebi(value):
    return f"{value / MEBI:.0f}"


def measure(kubectl, client, told, stream):
    time.sleep(20)
    idle = {}
    for container, _, what, value, _ in samples(kubectl):
        if what == "working":
            idle[container] = max(idle.get(container, 0), value)
    load, watch = stream(kubectl, client), Watch(kubectl)
    add_load(load, kubectl, client, told)
    time.sleep(LOAD_SECONDS)
    watch.stop()
    load.stop()
    asked, rows = asked_for(kubectl), []
    for name in (*SERVICES, *STORES):
        cpu, memory, limit = asked[name]
        rows.append((
            name, mebi(idle.get(name, 0)), mebi(watch.most.get((name, "working"), 0)),
            mebi(watch.most.get((name, "peak"), 0)), memory, limit,
            f"{watch.mean_cpu(name) * 1000:.0f}m", f"{watch.most.get((name, 'cpu'), 0) * 1000:.0f}m", cpu,
        ))
    table(
        f"Used in {LOAD_SECONDS} s of load, memory in MiB",
        ("container", "at rest", "working set, most", "with file cache, most", "requested", "limit",
         "cpu, mean", "cpu, most", "requested"), rows,
    )
    table("Requests meanwhile", ("request", "count", "failed", "slowest s"), load.rows())
    for failure in load.failures[:20]:
        print(f"  {failure}")
    return not load.failures

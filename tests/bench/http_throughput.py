#!/usr/bin/env python3
"""What the http server itself moves, beside nginx: same client, same file, taking turns.

    ninja -C build-release bench_http_server
    tests/bench/http_throughput.py build-release/tests/bench/bench_http_server

nginx writes its uploads to memory (/dev/shm) and sends a file by sendfile(2); ours drops them, and
sends what a handler makes up. Both therefore cost what a server costs, not what a disk does."""

import pathlib
import statistics
import subprocess
import sys
import tempfile

from nginx import Nginx

SIZE = 1 << 30
ROUNDS = 5


def curl(*arguments):
    """Bytes a second of the transfer, as the client saw it."""
    format = "%{http_code} %{speed_upload} %{speed_download}"
    command = ["curl", "-sS", "-o", "/dev/null", "-w", format, "-H", "Expect:", *arguments]
    status, upload, download = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()
    if status not in ("200", "201", "204"):
        raise RuntimeError(f"{' '.join(command)}: {status}")
    return max(float(upload), float(download))


def resident_mb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(server, url, nginx, file):
    (nginx.files / "file").hardlink_to(file)
    cases = {
        "upload, ours": ["-T", str(file), f"{url}/discard"],
        "upload, nginx": ["-T", str(file), f"{nginx.url}/upload"],
        "form upload, ours": ["-F", f"f=@{file}", f"{url}/form"],
        "download, ours": [f"{url}/stream?size={SIZE}"],
        "download, nginx": [f"{nginx.url}/file"],
    }
    rates = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, arguments in cases.items():
            rates[name].append(curl(*arguments) / 1e6)
    for name, values in rates.items():
        print(f"{name:20} {statistics.median(values):6.0f} MB/s  ({min(values):.0f}-{max(values):.0f})")
    print(f"resident at most     {resident_mb(server):6.1f} MB ours, {resident_mb(nginx.process):.1f} MB nginx")


def main():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        file = folder / "file"
        file.write_bytes(bytes(range(256)) * (SIZE // 256))
        server = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, text=True)
        try:
            url = "http://" + server.stdout.readline().strip()
            with Nginx(folder / "nginx") as nginx:
                measure(server, url, nginx, file)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()

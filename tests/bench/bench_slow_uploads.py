"""Memory of the gateway with 500 uploads that each trickle in."""

import time

from bench import System, peak_mib, table

UPLOADS = 500
PIECE = b"x" * 4096
SECONDS = 15


def begin(system):
    connection = system.connect()
    connection.sendall(
        b"POST /v1/conversions?name=slow.mp4 HTTP/1.1\r\nHost: bench\r\n"
        b"Authorization: Bearer " + system.anna.token.encode() + b"\r\n"
        b"Content-Length: 1000000000\r\n\r\n"
    )
    return connection


def main():
    with System() as system:
        pid = system.gateway.process.pid
        idle = peak_mib(pid)
        connections = [begin(system) for _ in range(UPLOADS)]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for connection in connections:
                connection.sendall(PIECE)
            time.sleep(0.5)
        uploading = len(system.anna.get("/v1/conversions?state=uploading&limit=100").json()
                        ["conversions"])
        busy = peak_mib(pid)
        for connection in connections:
            connection.close()
        table([
            ("gateway's peak memory", "MiB"),
            ("before", f"{idle:.1f}"),
            (f"with {UPLOADS} slow uploads", f"{busy:.1f}"),
            ("for each upload, KiB", f"{(busy - idle) * 1024 / UPLOADS:.0f}"),
        ])
        print(f"  (a page of uploads under way showed {uploading})")


main()

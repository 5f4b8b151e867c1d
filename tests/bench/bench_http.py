"""Upload and download through the gateway beside nginx, on the same disk, interleaved.

The gateway answers an upload when the file would survive a power loss; nginx when the kernel has it.
So nginx is measured twice: as it is, and followed by an fsync of its file.
"""

import pathlib
import subprocess
import tempfile
import time

from bench import ROOT, System, median, spread, table
from nginx import Nginx

SIZE_MIB = 1024
ROUNDS = 5


def timed(function):
    start = time.monotonic()
    function()
    return SIZE_MIB / (time.monotonic() - start)


def curl(*arguments):
    subprocess.run(["curl", "-sf", "-o", "/dev/null", *map(str, arguments)], check=True)


def upload_to_nginx(nginx, video, syncs):
    curl("-T", video, nginx.url + "/video")
    if syncs:
        nginx.sync("video")


def main():
    with tempfile.TemporaryDirectory(dir=ROOT) as folder, System(converts=False) as system:
        folder = pathlib.Path(folder)
        video = folder / "video"
        with open(video, "wb") as stream:
            for _ in range(SIZE_MIB):
                stream.write(b"\0" * (1 << 20))
        token = f"Authorization: Bearer {system.anna.token}"
        with Nginx(folder / "nginx") as nginx:
            speeds = {"gateway": [], "nginx + fsync": [], "nginx": []}
            for _ in range(ROUNDS):
                speeds["gateway"].append(
                    timed(lambda: curl("-T", video, "-X", "POST", "-H", token,
                                       system.url + "/v1/conversions?name=video"))
                )
                speeds["nginx + fsync"].append(timed(lambda: upload_to_nginx(nginx, video, True)))
                speeds["nginx"].append(timed(lambda: upload_to_nginx(nginx, video, False)))
            report(f"upload of {SIZE_MIB} MiB, MB/s", speeds)

            # As a converter would: the same bytes as the conversion's MP3.
            conversion = system.anna.upload(b"video").json()["id"]
            system.seed("done", conversion, video)
            speeds = {"gateway": [], "nginx": []}
            for _ in range(ROUNDS):
                speeds["gateway"].append(
                    timed(lambda: curl("-H", token, system.url + f"/download?fid={conversion}"))
                )
                speeds["nginx"].append(timed(lambda: curl(nginx.url + "/video")))
            report(f"download of {SIZE_MIB} MiB, MB/s", speeds)


def report(title, speeds):
    print(f"  {title}: median of {ROUNDS}, interleaved")
    rows = [("", "median", "min to max", "gateway is")]
    ours = median(speeds["gateway"])
    for name, values in speeds.items():
        rows.append((name, f"{median(values):.0f}", spread(values),
                     f"{ours / median(values):.2f} x"))
    table(rows)


main()

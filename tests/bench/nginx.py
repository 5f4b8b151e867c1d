"""An nginx on loopback that stores uploads (PUT) and serves files: what the gateway is held against."""

import os
import pathlib
import socket
import subprocess
import time

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    client_max_body_size 0;
    client_body_temp_path {folder}/temporary;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location / {{
            dav_methods PUT;
            client_body_buffer_size 256k;
        }}
    }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.files = folder / "files"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        for name in ("files", "temporary"):
            (self.folder / name).mkdir(parents=True)
        # As root nginx changes to an unprivileged user only with a master process; here it has none.
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, port=self.port))
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", str(self.folder), "-c", str(configuration)],
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("nginx did not start: " + (self.folder / "error.log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def sync(self, name):
        """What a store would have to add before it may say that the file is safe."""
        fd = os.open(self.files / name, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        folder = os.open(self.files, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

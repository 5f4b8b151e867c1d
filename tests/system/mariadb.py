"""A MariaDB of a test's own, on loopback."""

import getpass
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from authority import Authority
from workshop import free_port, wait_for

# Small and quick to start; nothing here is about safety.
SMALL = (
    "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--performance-schema=OFF",
    "--innodb-flush-log-at-trx-commit=2",
)


class MariaDb:
    """Folders of pytest's are for root's eyes alone; there the server runs as a user of its own."""

    admin = getpass.getuser()
    install = (
        "--auth-root-authentication-method=socket", f"--auth-root-socket-user={admin}",
        "--skip-test-db",
    )

    def __init__(self, options=SMALL):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tapedeck-mariadb-"))
        self.folder.chmod(0o755)
        # A server that starts removes what others have in a folder for temporary tables.
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        self.data = self.folder / "data"
        self.socket = self.folder / "sock"
        self.error_log = self.folder / "error.log"
        self.port = free_port()
        self.options = [*options, f"--tmpdir={self.temporary}"]
        self.process = None
        install = self.install
        if os.geteuid() == 0:
            for folder in (self.folder, self.temporary):
                shutil.chown(folder, "mysql", "mysql")
            self.options.append("--user=mysql")
            install = (*install, "--user=mysql")
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
             f"--tmpdir={self.temporary}", "--skip-name-resolve", *install],
            capture_output=True, text=True,
        )
        if made.returncode != 0:
            self.close()
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self):
        with open(self.error_log, "ab") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", *self.options, f"--datadir={self.data}",
                 f"--socket={self.socket}", f"--port={self.port}",
                 f"--pid-file={self.folder}/pid"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        wait_for(lambda: self.is_ready() or self.process.poll() is not None, 120, "MariaDB")
        assert self.process.poll() is None, self.error_log.read_text(errors="replace")
        return self

    def is_ready(self):
        return self.client("SELECT 1").returncode == 0

    def client(self, sql, *arguments):
        """By the socket, as whoever may do all."""
        return subprocess.run(
            ["mariadb", "--no-defaults", "-S", self.socket, "-u", self.admin, "-N", "-B",
             *arguments],
            input=sql, capture_output=True, text=True,
        )

    def sql(self, sql, *arguments):
        result = self.client(sql, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(timeout=60)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class TlsMariaDb(MariaDb):
    """With a certificate; `tapedeck` is its database, with accounts as deploy/mysql makes them."""

    PASSWORD = "a-Password-of-tests-1"

    def __init__(self):
        super().__init__()
        self.tls = self.folder / "tls"
        self.tls.mkdir()
        self.authority = Authority(self.tls)
        self.certificate = self.tls / "server.pem"
        self.issue()
        self.options += [
            "--bind-address=127.0.0.1", "--skip-name-resolve",
            f"--ssl-ca={self.authority.file}", f"--ssl-cert={self.certificate}",
            f"--ssl-key={self.certificate}",
        ]
        self.start()
        try:
            self.make_database("tapedeck")
        except BaseException:
            self.close()
            raise

    def make_database(self, name):
        self.sql(f"""
            CREATE DATABASE {name};
            CREATE USER m_{name}@'%' IDENTIFIED BY '{self.PASSWORD}' REQUIRE SSL;
            CREATE USER s_{name}@'%' IDENTIFIED BY '{self.PASSWORD}' REQUIRE SSL;
            GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX
              ON {name}.* TO m_{name}@'%';
            GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {name}.user TO s_{name}@'%';
            GRANT SELECT, CREATE ON {name}.schema_version TO s_{name}@'%';
            REVOKE CREATE ON {name}.user FROM s_{name}@'%';
            REVOKE CREATE ON {name}.schema_version FROM s_{name}@'%';
        """)

    def uri(self, account="s", name="tapedeck", host="127.0.0.1", scheme="mysqls"):
        return f"{scheme}://{account}_{name}:{self.PASSWORD}@{host}:{self.port}/{name}"

    def options_for(self, name="tapedeck", **changes):
        return {
            "stores.users": "mysql",
            "mysql.uri": self.uri("s", name),
            "mysql.migrate_uri": self.uri("m", name),
            "mysql.ca_file": self.authority.file,
            "mysql.timeout": "2s",
            **changes,
        }

    def issue(self, host="localhost", also=("127.0.0.1",), **days):
        shutil.copy(self.authority.issue(host, also=also, **days), self.certificate)

    def present(self, **certificate):
        """Another certificate from now on."""
        self.issue(**certificate)
        self.sql("FLUSH SSL")


class FreshMariaDb(MariaDb):
    """As unsafe as one can be: root without a password from anywhere, anonymous accounts, a database
    for all, no TLS, every address. It reads `conf.d`, and `restart` restarts it."""

    admin = "root"
    install = ("--auth-root-authentication-method=normal",)

    def __init__(self):
        super().__init__()
        self.data.chmod(0o755)
        self.config_folder = self.folder / "conf.d"
        self.config_folder.mkdir()
        defaults = self.folder / "my.cnf"
        defaults.write_text(
            "[mysqld]\n"
            + "".join(option.removeprefix("--") + "\n" for option in self.options)
            + f"datadir = {self.data}\nsocket = {self.socket}\npid_file = {self.folder}/pid\n"
            + f"port = {self.port}\nlog_error = {self.error_log}\n"
            + f"!includedir {self.config_folder}\n"
        )
        self.restart = self.folder / "restart"
        self.restart.write_text(f"""#!/bin/sh
            if pid=$(cat {self.folder}/pid 2>/dev/null); then
                kill $pid
                while kill -0 $pid 2>/dev/null; do sleep 0.1; done
            fi
            setsid mariadbd --defaults-file={defaults} >>{self.error_log} 2>&1 </dev/null &
        """)
        self.restart.chmod(0o755)

    def start(self):
        subprocess.run([self.restart], check=True)
        wait_for(self.is_ready, 120, "MariaDB")
        return self

    def stop(self):
        self._end(signal.SIGTERM)

    def _end(self, number):
        try:
            pid = int((self.folder / "pid").read_text())
            os.kill(pid, number)
        except (OSError, ValueError):
            return

        def is_gone():
            try:
                os.kill(pid, 0)
            except OSError:
                return True
            return False

        wait_for(is_gone, 60, "the end of MariaDB")

    def close(self):
        self._end(signal.SIGKILL)
        super().close()

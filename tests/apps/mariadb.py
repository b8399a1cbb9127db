"""A MariaDB of the test's own, on a unix socket alone."""

import getpass
import os
import subprocess
from pathlib import Path

from support.ports import wait_for
from support.process import end


class MariaDb:
    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True)
        self.socket = f"/tmp/nrc-mariadb-{os.getpid()}.sock"
        self.process = None
        self.user = getpass.getuser()

    def start(self):
        data = f"--datadir={self.directory}/data"
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", data, f"--user={self.user}",
             "--auth-root-authentication-method=normal", "--skip-test-db"],
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            ["mariadbd", "--no-defaults", data, f"--user={self.user}", f"--socket={self.socket}",
             f"--pid-file={self.directory}/pid", "--skip-networking",
             "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"],
            stdout=log, stderr=log,
        )  # fmt: skip

        def started():
            assert self.process.poll() is None, (self.directory / "log").read_text()
            return self.says("SELECT 1") is not None

        wait_for(started, "mariadbd", 120, pause=0.1)
        return self

    def says(self, statement: str) -> str | None:
        """What a statement answers, or None while nobody does."""
        result = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root", "-e", statement],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return result.stdout if result.returncode == 0 else None

    def stop(self):
        end(self.process, 60)
        Path(self.socket).unlink(missing_ok=True)

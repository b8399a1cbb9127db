"""A real redis-server in a directory of its own, on a TCP port and a unix socket."""

import os
import signal
import subprocess
from pathlib import Path

import redis

from .ports import free_port, listens, wait_for


class RedisServer:
    def __init__(self, directory: Path, *arguments: str, db: int = 1, port: int | None = None):
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.arguments = arguments
        self.port = port or free_port()
        self.db = db
        # Socket paths are short; pytest's directories are not.
        self.socket = f"/tmp/nrc-{os.getpid()}-{self.port}.sock"
        self.process = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/{self.db}"

    @property
    def unix_url(self) -> str:
        return f"unix:{self.socket}?db={self.db}"

    @property
    def name(self) -> str:
        """What $redis_cache_server shows."""
        return f"127.0.0.1:{self.port}/{self.db}"

    def command(self) -> list[str]:
        return [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--unixsocket", self.socket, "--dir", str(self.directory), "--daemonize", "no",
            "--proto-max-bulk-len", "512mb", *self.arguments,
        ]  # fmt: skip

    def start(self):
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        wait_for(lambda: listens(self.port), "redis-server")
        return self

    def client(self, **arguments) -> redis.Redis:
        return redis.Redis(port=self.port, db=self.db, **arguments)

    def set(self, key, value, **arguments):
        """Sets a key; `value` may be text or bytes."""
        with self.client() as client:
            client.set(key, value, **arguments)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(10)
        Path(self.socket).unlink(missing_ok=True)

    def kill(self):
        self.stop(signal.SIGKILL)

"""A real redis-server in a directory of its own, on a TCP port and a unix socket. With TLS the
port speaks nothing else; the unix socket is without it."""

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from .ports import free_port, listens, wait_for

if TYPE_CHECKING:
    from .certificates import Pair


def wait_handed_on(primary: redis.Redis, replica: redis.Redis):
    """Waits until a replica has what its primary has confirmed so far."""
    wanted = primary.info("replication")["master_repl_offset"]
    has = lambda: replica.info("replication").get("slave_repl_offset", 0) >= wanted  # noqa: E731
    wait_for(has, "the replica to have it all")


class RedisServer:
    """`tls` is the certificate of a server with TLS, `authority` the file of who issues those of
    its clients; it asks for them where `--tls-auth-clients yes` is among the arguments. `program`
    is the command that starts another server than this machine's, `host` an address of loopback.
    """

    program = ["redis-server"]

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        db: int = 1,
        port: int | None = None,
        host: str = "127.0.0.1",
        tls: "Pair | None" = None,
        authority: Path | None = None,
        program: list[str] | None = None,
    ):
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.arguments = arguments
        self.program = program or self.program
        self.port = port or free_port()
        self.host = host
        self.db = db
        self.tls = tls
        self.authority = authority
        # Socket paths are short; pytest's directories are not.
        self.socket = f"/tmp/nrc-{os.getpid()}-{self.host}-{self.port}.sock"
        self.process = None
        self.paused = False

    @property
    def url(self) -> str:
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{self.host}:{self.port}/{self.db}"

    @property
    def unix_url(self) -> str:
        return f"unix:{self.socket}?db={self.db}"

    @property
    def name(self) -> str:
        """What $redis_cache_server shows."""
        return f"{self.host}:{self.port}/{self.db}"

    def command(self) -> list[str]:
        return [
            *self.program, *self._listens(), "--bind", self.host, "--save", "",
            "--unixsocket", self.socket, "--dir", str(self.directory), "--daemonize", "no",
            "--proto-max-bulk-len", "512mb", *self.arguments,
        ]  # fmt: skip

    def _listens(self) -> list[str]:
        if not self.tls:
            return ["--port", str(self.port)]
        return [
            "--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no",
            "--tls-cert-file", str(self.tls.certificate), "--tls-key-file", str(self.tls.key),
            "--tls-ca-cert-file", str(self.authority),
        ]  # fmt: skip

    def start(self):
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        wait_for(lambda: listens(self.port, self.host), "redis-server")
        return self

    def client(self, **arguments) -> redis.Redis:
        if self.tls:
            return redis.Redis(unix_socket_path=self.socket, db=self.db, **arguments)
        return redis.Redis(self.host, self.port, db=self.db, **arguments)

    def set(self, key, value, **arguments):
        """Sets a key; `value` may be text or bytes."""
        with self.client() as client:
            client.set(key, value, **arguments)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def answers(self) -> bool:
        """Whether it runs, as far as signals decide that."""
        return self.process is not None and self.process.poll() is None and not self.paused

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.resume()
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        Path(self.socket).unlink(missing_ok=True)

    def kill(self):
        self.stop(signal.SIGKILL)

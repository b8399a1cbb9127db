"""twemproxy, which Debian calls nutcracker, in front of a Redis."""

import subprocess
from pathlib import Path

from .ports import free_port, listens, wait_for
from .redis_server import RedisServer


class Nutcracker:
    """It speaks RESP2 and closes the connection at every command that it does not know, HELLO among
    them. `options` are lines of its pool."""

    def __init__(self, directory: Path, redis: RedisServer, *options: str):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.process = None
        lines = [
            f"listen: 127.0.0.1:{self.port}", "redis: true", f"redis_db: {redis.db}",
            "distribution: ketama", *options, "servers:", f" - 127.0.0.1:{redis.port}:1",
        ]  # fmt: skip
        (directory / "nutcracker.yml").write_text("pages:\n" + "".join(f"  {x}\n" for x in lines))

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        arguments = [
            "-c", self.directory / "nutcracker.yml", "-o", self.directory / "log",
            "-p", self.directory / "pid", "-a", "127.0.0.1", "-s", str(free_port()),
        ]  # fmt: skip
        self.process = subprocess.Popen(["nutcracker", *arguments])
        wait_for(lambda: listens(self.port), "nutcracker")
        return self

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)

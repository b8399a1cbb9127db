"""A real Sentinel that watches one Redis."""

from pathlib import Path

from .redis_server import RedisServer


class Sentinel(RedisServer):
    """Knows the Redis on `port` as `name`."""

    def __init__(self, directory: Path, name: str, port: int):
        super().__init__(directory)
        self.config = self.directory / "sentinel.conf"
        self.config.write_text(f"sentinel monitor {name} 127.0.0.1 {port} 1\n")

    def command(self) -> list[str]:
        return [
            "redis-server", str(self.config), "--sentinel", "--port", str(self.port),
            "--bind", "127.0.0.1", "--dir", str(self.directory),
        ]  # fmt: skip

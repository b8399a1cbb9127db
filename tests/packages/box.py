"""A root with nginx, the module, a Redis and an application, as README's configuration has them."""

import re
import subprocess
from contextlib import suppress
from pathlib import Path

from roots import ENVIRONMENT, ROOT, Failed, Root, built, repack
from support.debian import run
from support.http import Client
from support.load import Load
from support.origin import Origin
from support.ports import listens, wait_for
from support.redis_server import RedisServer

HOST = "www.example.com"
MODULE = "usr/lib/nginx/modules/ngx_http_redis_cache_module.so"
ENABLED = "etc/nginx/modules-enabled/50-mod-http-redis-cache.conf"


class Box:
    def __init__(self, root: Root, directory: Path):
        self.root = root
        self.redis = RedisServer(directory / "redis", port=6379)
        self.origin = None
        self.config = root.path / "etc/nginx/nginx.conf"
        self.said = directory / "said"
        self.package = built(root.suite)
        self.nginx_version = self.abi = ""

    def __enter__(self):
        for name, how in {"dev": ["--rbind", "/dev"], "proc": ["-t", "proc", "proc"]}.items():
            run(["mount", *how, self.root.path / name])
        self.root.allow_services(True)
        self.redis.start()
        self.origin = Origin(8000)
        return self

    def __exit__(self, *_):
        if self.master():
            self.stop()
        self.origin.stop()
        self.redis.stop()
        for name in ("proc", "dev"):
            run(["umount", "--recursive", self.root.path / name])
        self.root.remove()

    def run(self, *command: str) -> str:
        """As Root.run, for commands that may start daemons: those keep a file open, no pipe."""
        before = self.said.stat().st_size if self.said.exists() else 0
        with self.said.open("ab") as file:
            result = subprocess.run(
                ["chroot", self.root.path, *command],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=ENVIRONMENT, timeout=300,
            )  # fmt: skip
        text = self.said.read_bytes()[before:].decode(errors="replace")
        if result.returncode:
            raise Failed(f"{' '.join(command)}\n{text}")
        return text

    def apt(self, *arguments: str) -> str:
        return self.run("apt-get", "-q", "-y", *arguments)

    def copy(self, deb: Path, name: str, **fields: str) -> str:
        """The path in the root of a package with other control fields."""
        repack(deb, self.root.path / name, **fields)
        return f"/{name}"

    def cached(self, package: str, version: str) -> Path:
        archives = self.root.path / "var/cache/apt/archives"
        escaped = version.replace(":", "%3a")
        (found,) = archives.glob(f"{package}_{escaped}_*.deb")
        return found

    # nginx

    def configure(self, text: str):
        self.config.write_text(text)

    def test_config(self) -> tuple[bool, str]:
        try:
            return True, self.run("nginx", "-t")
        except Failed as failure:
            return False, str(failure)

    def restart(self):
        """With the configuration as it is; apt has started nginx already."""
        before = self.master()
        self.run("service", "nginx", "restart")
        wait_for(lambda: self.master() not in (0, before) and listens(80), "nginx")

    def stop(self):
        self.run("service", "nginx", "stop")
        wait_for(lambda: not self.master(), "nginx to end")

    def master(self) -> int:
        """The pid of the running master; 0 if there is none."""
        try:
            pid = int((self.root.path / "run/nginx.pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return 0
        return 0 if state == "Z" else pid

    def workers(self) -> set[int]:
        master = self.master()
        children = Path(f"/proc/{master}/task/{master}/children")
        return {int(pid) for pid in children.read_text().split()}

    def mapped(self) -> set[str]:
        """The module's file as the workers have it mapped; a replaced one is `(deleted)`."""
        maps = ""
        for pid in self.workers():
            # One that has ended since maps nothing.
            with suppress(OSError):
                maps += Path(f"/proc/{pid}/maps").read_text()
        found = re.findall(r"/\S*ngx_http_redis_cache_module\.so(?: \(deleted\))?", maps)
        return {path.removeprefix(f"{self.root.path}/") for path in found}

    def bad_lines(self) -> list[str]:
        """What nginx may not have said."""
        bad = re.compile(r"\[(alert|emerg|crit)\]|exited on signal|panicked")
        logs = [self.said, self.root.path / "var/log/nginx/error.log"]
        text = "".join(log.read_text() for log in logs if log.exists())
        return [line for line in text.splitlines() if bad.search(line)]

    # requests and pages

    def redis_cli(self, *arguments: str) -> str:
        return run(["redis-cli", "-n", "1", *arguments])

    def client(self, **arguments) -> Client:
        return Client(80, host=HOST, **arguments)

    def get(self, target: str, headers=None):
        with self.client() as client:
            return client.get(target, headers)

    def load(self) -> Load:
        """Clients that each open a connection a request; even pages are stored."""
        for n in range(0, 10, 2):
            self.redis.set(f"page:http://{HOST}/{n}", f"HTTP/1.1 200 OK\r\n\r\nstored /{n}")
        return Load(self, keepalive=False)


def readme_config() -> str:
    """The configuration that README begins with."""
    return re.search(r"^```nginx\n(load_module .*?)^```$", (ROOT / "README.md").read_text(),
                     re.M | re.S)[1]  # fmt: skip


def readme_page() -> tuple[str, str]:
    """Key and value of the page that README writes with printf and redis-cli."""
    text = (ROOT / "README.md").read_text()
    value, key = re.search(r"^printf '(.*?)' \|\n.* SETEX (\S+) \d+$", text, re.M).groups()
    return key, value.replace("\\r\\n", "\r\n")


def readme_store_config() -> str:
    """The same with the location that README has nginx store in, and with Cache-Status."""
    stores = re.search(r"^```nginx\n(location / {\n *redis_cache .*?)^```$",
                       (ROOT / "README.md").read_text(), re.M | re.S)[1]  # fmt: skip
    served = re.compile(r"^ *location / {.*}\n", re.M)
    return served.sub(lambda _: f"redis_cache_status_header on;\n{stores}", readme_config(), 1)

#!/usr/bin/env python3
"""The demo: Redis, nginx with the module, and a Django application, all on loopback and in one
temporary directory. Shows a MISS and a HIT, then keeps running until Ctrl-C.

Usage: demo/run.py [--once]
"""

import argparse
import fcntl
import gzip
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

DEMO = Path(__file__).resolve().parent
ROOT = DEMO.parent
MODULE = Path(os.environ.get("REDIS_CACHE_MODULE", ROOT / "build/ngx_http_redis_cache_module.so"))
PACKAGE = ROOT / "integrations/django/src"
VENV = ROOT / "build/demo-venv"

# What the demo adds: its own directory, and HIT or MISS where the page can read it.
HTTP = [
    *(f"{kind}_temp_path {kind}_temp;"
      for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
    'add_header Server-Timing "cache;desc=$redis_cache_status";',
]  # fmt: skip


class Failed(Exception):
    """What stops the demo, in words for its user."""


class Stopped(Exception):
    """Ctrl-C, or `kill`."""


class Stop:
    """A signal only leaves a note, so that it never cuts the start of a program in two."""

    wanted = False

    @classmethod
    def on_signals(cls):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(cls, "wanted", True))

    @classmethod
    def check(cls):
        if cls.wanted:
            raise Stopped


def main() -> int:
    parser = argparse.ArgumentParser(description="Shows nginx serving a Django page from Redis.")
    parser.add_argument("--once", action="store_true", help="show a MISS and a HIT, and end")
    arguments = parser.parse_args()
    Stop.on_signals()
    sys.stdout.reconfigure(line_buffering=True)
    children = Children()
    try:
        with tempfile.TemporaryDirectory(prefix="redis-cache-demo-") as directory:
            try:
                port = start(Path(directory), children)
                show(port)
                if not arguments.once:
                    print(f"\nOpen http://127.0.0.1:{port}/ and reload it. Ctrl-C ends everything.")
                    children.wait()
            finally:
                children.stop()
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except Stopped:
        print("\nStopped.")
        return 130 if arguments.once else 0
    return 0


def start(directory: Path, children: "Children") -> int:
    """Starts everything and returns the port of nginx."""
    for program in ("redis-server", "nginx"):
        if not shutil.which(program, path=search_path()):
            raise Failed(f"{program} is not installed")
    if not MODULE.exists():
        raise Failed(f"{MODULE} is not there: `make build` builds it")
    bin_directory = virtual_environment()
    redis_port, django_port, nginx_port = free_ports(3)

    children.start(
        "redis-server", directory,
        ["redis-server", "--bind", "127.0.0.1", "--port", str(redis_port), "--save", "",
         "--dir", str(directory)],
        lambda: listens(redis_port),
    )  # fmt: skip
    environment = {
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "PAGES_URL": f"redis://127.0.0.1:{redis_port}/1",
        "PYTHONPATH": f"{DEMO}:{PACKAGE}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    children.start(
        "gunicorn", directory,
        [str(bin_directory / "gunicorn"), "--bind", f"127.0.0.1:{django_port}", "--threads", "4",
         "--chdir", str(DEMO), "--worker-tmp-dir", str(directory), "--no-control-socket",
         "django.core.wsgi:get_wsgi_application()"],
        # Without a key from nginx the answer is not stored, so this is no page in advance.
        lambda: listens(django_port) and get(django_port).status == 200,
        environment,
    )  # fmt: skip
    django = f"http://127.0.0.1:{django_port}"
    write_nginx_conf(directory, bin_directory / "python", environment, django, nginx_port)
    children.start(
        "nginx", directory,
        ["nginx", "-p", str(directory), "-c", "nginx.conf"],
        lambda: listens(nginx_port),
    )  # fmt: skip
    return nginx_port


def write_nginx_conf(directory: Path, python: Path, environment: dict, django: str, port: int):
    """What `manage.py nginx_cache config` prints for the demo, with its paths and its port."""
    command = [str(python), "-m", "django", "nginx_cache", "config", "--application", django]
    printed = subprocess.run(
        command, cwd=DEMO, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if printed.returncode != 0:
        raise Failed(f"nginx_cache config failed:\n{printed.stderr}")
    text = printed.stdout
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("listen 80 default_server;", f"listen 127.0.0.1:{port} default_server;"),
        ("/var/log/nginx/access.log", "access.log"),
        ("worker_processes auto;", "worker_processes 1;"),
        ("http {\n", "http {\n" + "".join(f"    {line}\n" for line in HTTP)),
    ):
        if text.count(old) != 1:
            raise Failed(f"the configuration has {text.count(old)} times {old!r}, not once")
        text = text.replace(old, new)
    user = "user root;\n" if os.getuid() == 0 else ""
    top = f"daemon off;\n{user}pid nginx.pid;\nerror_log error.log warn;\n"
    (directory / "nginx.conf").write_text(top + text)
    (directory / "logs").mkdir()
    (directory / "modules").mkdir()
    (directory / "modules/ngx_http_redis_cache_module.so").symlink_to(MODULE.resolve())


def show(port: int):
    """Asks twice, and fails unless the second answer is the stored first one."""
    print(f"\nThe page is at http://127.0.0.1:{port}/\n")
    print("First request: Redis has no page yet, so nginx asks Django.")
    first = get(port)
    print(first)
    print("Second request: nginx takes the page from Redis.")
    second = get(port)
    print(second)
    if (first.status, first.word) != (200, "MISS"):
        raise Failed("the first request was no MISS")
    if (second.status, second.word) != (200, "HIT"):
        raise Failed("the second request was no HIT")
    if first.body != second.body:
        raise Failed("the two pages differ")
    print(f"Both pages are the same {len(first.body)} bytes.\n")
    print("As a browser asks: the same page, compressed since it was stored.")
    third = get(port, {"Accept-Encoding": "gzip"})
    print(third)
    if third.word != "HIT" or gzip.decompress(third.body) != first.body:
        raise Failed("the compressed page is another one")


class Page:
    """An answer, and how long it took."""

    def __init__(self, status: int, headers, body: bytes, seconds: float):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    @property
    def word(self) -> str:
        cache_status = self.headers.get("Cache-Status", "")
        if "; hit" in cache_status:
            return "HIT"
        return "MISS" if "; fwd=uri-miss" in cache_status else "other"

    def __str__(self) -> str:
        shown = ("Cache-Status", "Content-Type", "Content-Encoding", "Content-Length")
        lines = [f"  {name}: {self.headers[name]}" for name in shown if name in self.headers]
        return "\n".join([f"  {self.word}  {self.status} in {self.seconds * 1000:.1f} ms", *lines, ""])


def get(port: int, headers: dict | None = None) -> Page:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        began = time.perf_counter()
        connection.request("GET", "/", headers=headers or {})
        response = connection.getresponse()
        body = response.read()
        return Page(response.status, response.headers, body, time.perf_counter() - began)
    finally:
        connection.close()


class Children:
    """The started programs, each in a process group of its own."""

    def __init__(self):
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, name: str, directory: Path, command: list, is_ready, environment=None):
        log_path = directory / f"{name}.log"
        with open(log_path, "wb") as log:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "PATH": search_path(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running[name] = process
        end = time.monotonic() + 30
        while not is_ready():
            Stop.check()
            if process.poll() is not None or time.monotonic() > end:
                raise Failed(f"{name} did not start:\n{log_path.read_text(errors='replace')}")
            time.sleep(0.02)
        print(f"Started {name} (pid {process.pid})")

    def wait(self):
        """Until Ctrl-C, or until a program ends, which none does by itself."""
        while True:
            Stop.check()
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise Failed(f"{name} ended with status {process.returncode}")
            time.sleep(0.2)

    def stop(self):
        for process in reversed(self.running.values()):
            if process.poll() is None:
                process.terminate()
        for process in self.running.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def virtual_environment() -> Path:
    """The directory with gunicorn; made at the first run and when the requirements change."""
    requirements = (DEMO / "requirements.txt").read_text()
    stamp = VENV / "installed"
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with open(VENV.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != requirements:
            print(f"Installing Django and gunicorn into {VENV}")
            venv.create(VENV, clear=True, with_pip=True)
            pip = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
            install = subprocess.run([*pip, "install", "-r", str(DEMO / "requirements.txt")])
            if install.returncode != 0:
                raise Failed("pip could not install demo/requirements.txt")
            stamp.write_text(requirements)
    return VENV / "bin"


def search_path() -> str:
    """PATH with the directories of servers, which not every user has in it."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"


def free_ports(count: int) -> list:
    """Ports of loopback on which nothing listens."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())

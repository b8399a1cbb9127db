"""A real nginx with the module, in a directory of its own."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from .http import Client
from .ports import free_port, listens, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
MODULE = Path(os.environ.get("REDIS_CACHE_MODULE", ROOT / "build/ngx_http_redis_cache_module.so"))
# Whether both are those of `make sanitize`.
SANITIZED = "ASAN_OPTIONS" in os.environ

# What has been freed reads as something else at once.
PERTURBED = {"MALLOC_PERTURB_": "85"}

# What a log line shows of each request, in access.log.
LOG_FORMAT = (
    "$request_method $request_uri $status s=$redis_cache_status r=$redis_cache_reason "
    "k=$redis_cache_key a=$redis_cache_age t=$redis_cache_time v=$redis_cache_server w=$redis_cache_store_reason"
)

# nginx 1.22's own: an HTTP/2 client resets its connection while the graceful shutdown of a worker
# writes the GOAWAY. That connection is forgotten, and counted as active for ever.
LEFT_OPEN = re.compile(
    r"^.* (?P<worker>\d+#\d+): gracefully shutting down\n"
    r"(?:.*\n){0,3}?"
    r".* (?P=worker): (?P<connection>\*\d+) writev\(\) failed .* while processing HTTP/2 connection,.*\n"
    r"(?:.*\n)*?"
    r"(?P<alerts>.* (?P=worker): (?P=connection) open socket #\d+ left in connection \d+\n"
    r".* (?P=worker): aborting\n)",
    re.MULTILINE,
)


class Nginx:
    """`server` is the content of the one server block; `http` stands in front of it, `servers`
    behind it, `main` at the top. `listen` adds parameters (`http2`). An nginx that has the module
    linked in has no `module`."""

    def __init__(
        self,
        directory: Path,
        server: str = "",
        http: str = "",
        servers: str = "",
        main: str = "",
        listen: str = "",
        workers: int = 1,
        nginx: list[str] | None = None,
        module: Path | None = MODULE,
        modules: str = "",
        error_level: str = "info",
        allow_alerts: bool = False,
        environment: dict[str, str] | None = None,
        user: str = "root",
    ):
        if SANITIZED and "load_module" in modules + main:
            pytest.skip("Debian's modules load in Debian's nginx alone")
        self.directory = directory
        (directory / "logs").mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.allow_alerts = allow_alerts
        self.process = None
        self.command = nginx or ["nginx"]
        # An nginx without AddressSanitizer does not look at it.
        asan = f"{os.environ.get('ASAN_OPTIONS', '')}:log_path={directory}/logs/sanitizer"
        known = {**os.environ, **PERTURBED, "ASAN_OPTIONS": asan}
        self.environment = {**known, **(environment or {})}
        user = f"user {user};" if os.getuid() == 0 else ""
        self.config = f"""
            {modules}
            {f"load_module {module};" if module else ""}
            {user}
            daemon off;
            worker_processes {workers};
            pid {directory}/nginx.pid;
            error_log {directory}/logs/error.log {error_level};
            worker_rlimit_nofile 20000;
            {main}
            events {{ worker_connections 8192; }}
            http {{
                log_format test escape=json '{LOG_FORMAT}';
                access_log {directory}/logs/access.log test;
                client_body_temp_path {directory}/body;
                proxy_temp_path {directory}/proxy;
                fastcgi_temp_path {directory}/fastcgi;
                uwsgi_temp_path {directory}/uwsgi;
                scgi_temp_path {directory}/scgi;
                default_type text/html;
                {http}
                server {{
                    listen 127.0.0.1:{self.port} {listen};
                    {server}
                }}
                {servers}
            }}
        """
        self.write_config(self.config)

    def write_config(self, config: str):
        self.config = config
        (self.directory / "nginx.conf").write_text(config)

    def _run(self, *arguments: str):
        command = [*self.command, "-p", str(self.directory), "-c", "nginx.conf", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=self.environment
        )

    def test(self) -> tuple[bool, str]:
        """`nginx -t`: whether it passed, and what it said."""
        result = self._run("-t", "-g", f"error_log {self.directory}/logs/test.log;")
        return result.returncode == 0, result.stderr

    def start(self):
        command = [*self.command, "-p", str(self.directory), "-c", "nginx.conf"]
        stderr = open(self.directory / "stderr", "ab")
        # What only looks at a configuration leaves it to the system to take back its memory.
        asan = f"{self.environment['ASAN_OPTIONS']}:detect_leaks=1"
        environment = {**self.environment, "ASAN_OPTIONS": asan}
        self.process = subprocess.Popen(command, stderr=stderr, env=environment)

        def started():
            if self.process.poll() is not None:
                raise AssertionError((self.directory / "stderr").read_text())
            return listens(self.port)

        wait_for(started, "nginx", 60)
        return self

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self):
        """Graceful, as with `nginx -s quit`; fails if nginx does not end."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(10)
                raise AssertionError("nginx did not end gracefully within 15 s") from None

    def error_log(self) -> str:
        return (self.directory / "logs/error.log").read_text(errors="replace")

    def access_log(self) -> list[str]:
        return (self.directory / "logs/access.log").read_text(errors="replace").splitlines()

    def logged(self, count: int) -> list[str]:
        """The access log once it has `count` lines; nginx writes a line after the response."""
        wait_for(lambda: len(self.access_log()) >= count, f"{count} lines in access.log")
        return self.access_log()

    def warnings(self) -> list[str]:
        """The module's own warnings."""
        return [line for line in self._own() if "[notice]" not in line]

    def notices(self) -> list[str]:
        """What the module has to say that is no fault."""
        return [line for line in self._own() if "[notice]" in line]

    def _own(self) -> list[str]:
        return [line for line in self.error_log().splitlines() if "redis_cache: " in line]

    def left_open(self) -> list[str]:
        """The alerts of each connection that an old worker forgot (LEFT_OPEN)."""
        return [found["alerts"] for found in LEFT_OPEN.finditer(self.error_log())]

    def check_error_log(self):
        reports = "".join(
            report.read_text(errors="replace")
            for report in sorted((self.directory / "logs").glob("sanitizer.*"))
        )
        assert not reports, reports
        if self.allow_alerts:
            return
        bad = re.compile(r"\[(alert|emerg|crit)\]|exited on signal|panicked|AddressSanitizer")
        log = self.error_log()
        for alerts in self.left_open():
            log = log.replace(alerts, "")
        # The application that a test stops or kills is not the module's doing.
        lines = [line for line in log.splitlines() if bad.search(line)]
        assert not lines, "\n".join(lines)
        stderr = (self.directory / "stderr").read_text(errors="replace")
        assert "panicked" not in stderr and "ERROR:" not in stderr, stderr

    # Requests: see support.http.Client.

    def client(self, **arguments) -> Client:
        return Client(self.port, **arguments)

    def get(self, target="/", headers=None, **arguments):
        return self.request("GET", target, headers, **arguments)

    def request(self, method, target="/", headers=None, body=None, **arguments):
        with self.client() as client:
            return client.request(method, target, headers, body, **arguments)

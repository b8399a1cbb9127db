"""A real Django project with the package, under gunicorn: sync, or async with uvicorn."""

import json
import os
import subprocess
import sys
from pathlib import Path

from .nginx import ROOT
from .ports import free_port, listens, wait_for
from .process import end

PACKAGE = ROOT / "integrations/django"

WSGI = ["django.core.wsgi:get_wsgi_application()", "--threads", "4"]
ASGI = ["django.core.asgi:get_asgi_application()", "-k", "uvicorn_worker.UvicornWorker"]


class DjangoSite:
    """The project in integrations/django/tests. `cache` is `django` or `django-redis`; `options`
    is NGINX_REDIS_CACHE; other names go into the environment."""

    def __init__(self, directory: Path, redis_url: str, cache="django", is_async=False,
                 options=None, **environment):  # fmt: skip
        self.directory = directory
        self.directory.mkdir(parents=True)
        self.port = free_port()
        self.is_async = is_async
        self.process = None
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "PYTHONPATH": f"{PACKAGE / 'src'}:{PACKAGE / 'tests'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "REDIS_URL": redis_url,
            "CACHE": cache,
            "NGINX_REDIS_CACHE": json.dumps(options or {}),
            "DATABASE": str(directory / "database"),
            **environment,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *words: str, code: str | None = None) -> str:
        """`manage.py WORDS`, or code in the project; what it printed."""
        command = [sys.executable, "-m", "django", *words]
        if code is not None:
            command = [sys.executable, "-c", f"import django; django.setup()\n{code}"]
        result = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def start(self):
        command = [
            sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}",
            "--worker-tmp-dir", str(self.directory), "--no-control-socket",
            *(ASGI if self.is_async else WSGI),
        ]  # fmt: skip
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            command, cwd=self.directory, env=self.environment, stdout=log, stderr=log
        )

        def started():
            assert self.process.poll() is None, self.log()
            return listens(self.port) and "Booting worker" in self.log()

        wait_for(started, "gunicorn", 30)
        return self

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def stop(self):
        end(self.process)

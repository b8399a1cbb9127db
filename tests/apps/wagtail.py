"""A project as `wagtail start` makes it, with the blog of Wagtail's tutorial, under gunicorn."""

import os
import shutil
import subprocess
from pathlib import Path

from support.ports import free_port, listens, wait_for
from support.process import end

from .application import Application
from .recipe import HOST, ROOT
from .visitor import Visitor, field

# A virtual environment of its own; see the Makefile.
BIN = Path(os.environ.get("APPS_VENV", ROOT / "build/apps-venv")) / "bin"
BLOG = Path(__file__).parent / "blog"

SETTINGS = """
from .base import *
SECRET_KEY = "test"
DATABASES["default"]["OPTIONS"] = {"init_command": "PRAGMA synchronous=OFF;"}
ALLOWED_HOSTS = ["%(host)s"]
INSTALLED_APPS += ["blog", "wagtail.contrib.frontend_cache"]
WAGTAILFRONTENDCACHE = {
    "nginx": {
        "BACKEND": "wagtail.contrib.frontend_cache.backends.HTTPBackend",
        "LOCATION": open(BASE_DIR / "nginx.address").read(),
    },
}
"""


class Wagtail(Application):
    editor = Visitor
    begin = [
        "/",
        "/blog/",
        "/nowhere/",
        "/blog/post-1",
        "/contact/",
        "/blog/among-friends/",
    ]
    # Another one in every page that has a form; nobody is to get it from the cache.
    masks = [r'name="csrfmiddlewaretoken" value="[^"]*"']
    sets_cookies = ["/contact/"]
    front = "/"
    mark = b"wagtail-userbar"
    skip = "^/(django-)?admin/"

    def __init__(self, directory: Path):
        self.directory = directory
        self.project = directory / "mysite"
        self.port = free_port()
        self.process = None
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "mysite.settings.test",
        }

    def start(self):
        self.project.mkdir()
        self._run(str(BIN / "wagtail"), "start", "mysite", str(self.project))
        shutil.copytree(BLOG, self.project / "blog", ignore=shutil.ignore_patterns("__pycache__"))
        (self.project / "mysite/settings/test.py").write_text(SETTINGS % {"host": HOST})
        # Nobody is told of what is written now.
        (self.project / "nginx.address").write_text("http://127.0.0.1:9")
        self._manage("makemigrations", "blog")
        self._manage("migrate", "--verbosity", "0")
        self._manage("shell", "-c", "import blog.content")
        return self

    def _manage(self, *words: str) -> str:
        return self._run(str(BIN / "python"), "manage.py", *words)

    def shell(self, code: str) -> str:
        """What an editor does in the admin, done by the same calls."""
        return self._manage("shell", "-c", code)

    def _run(self, *command: str) -> str:
        result = subprocess.run(
            command, cwd=self.project, env=self.environment,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def purges(self, nginx):
        """The server begins here, because the setting is read then."""
        (self.project / "nginx.address").write_text(f"http://127.0.0.1:{nginx.port}")
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            [str(BIN / "python"), "-m", "gunicorn", "mysite.wsgi", "--workers", "2",
             "--bind", f"127.0.0.1:{self.port}", "--worker-tmp-dir", str(self.directory),
             "--no-control-socket"],
            cwd=self.project, env=self.environment, stdout=log, stderr=log,
        )  # fmt: skip

        def started():
            assert self.process.poll() is None, self.log()
            return listens(self.port) and self.log().count("Booting worker") == 2

        wait_for(started, "gunicorn", 60)

    @property
    def replace(self) -> dict[str, str]:
        return {
            "http://127.0.0.1:8000": f"http://127.0.0.1:{self.port}",
            "/srv/mysite": str(self.project),
        }

    def log_in(self, visitor: Visitor, name: str, password: str):
        token = field(visitor.get("/admin/login/").body, "csrfmiddlewaretoken")
        fields = {
            "username": name,
            "password": password,
            "csrfmiddlewaretoken": token,
            "next": "/",
        }
        return visitor.post("/admin/login/", fields)

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def stop(self):
        end(self.process, 15)

"""The demo shows what it promises, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from support.nginx import MODULE, ROOT
from support.ports import wait_for

PROGRAMS = {"redis-server", "gunicorn", "nginx"}


class Demo:
    """`demo/run.py` with a temporary directory of its own."""

    def __init__(self, directory: Path, *arguments: str):
        self.directory = directory / "tmp"
        self.directory.mkdir()
        self.log = directory / "out"
        environment = {
            **os.environ,
            "TMPDIR": str(self.directory),
            "REDIS_CACHE_MODULE": str(MODULE),
        }
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "demo/run.py"), *arguments],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def started(self) -> dict[str, int]:
        """Name and pid of every program that was started; each leads its process group."""
        return {n: int(p) for n, p in re.findall(r"Started (\S+) \(pid (\d+)\)", self.output)}

    def survivors(self) -> list[str]:
        """Processes of the started groups that are alive, by name."""
        groups = set(self.started().values())
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, fields = re.fullmatch(r"\d+ \((.*)\) (.*)\n", stat.read_text()).groups()
            except (OSError, AttributeError):
                continue
            state, _, group = fields.split()[:3]
            if int(group) in groups and state != "Z":
                found.append(name)
        return found

    def assert_nothing_is_left(self):
        assert set(self.started()) == PROGRAMS, self.output
        assert self.survivors() == []
        assert list(self.directory.iterdir()) == []


def url_of(demo: Demo) -> str:
    """Where the demo is, once it is there."""

    def is_ready():
        assert demo.process.poll() is None, demo.output
        return re.search(r"Open (http://\S+/) and reload it", demo.output)

    # The first run installs Django.
    return wait_for(is_ready, "the demo", 300)[1]


@pytest.fixture
def demo(tmp_path):
    started = []

    def start(*arguments):
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield start
    for demo in started:
        if demo.process.poll() is None:
            demo.process.terminate()
            demo.process.wait(30)


def test_once_shows_a_miss_and_a_hit(demo):
    shown = demo("--once")
    # The first run installs Django.
    assert shown.process.wait(300) == 0, shown.output
    words = re.findall(r"^  (MISS|HIT|other)  (\d+) in [0-9.]+ ms$", shown.output, re.M)
    assert words == [("MISS", "200"), ("HIT", "200"), ("HIT", "200")], shown.output
    assert "fwd=uri-miss; detail=absent" in shown.output
    assert re.search(r"hit; ttl=\d+; detail=fresh", shown.output)
    assert re.search(r"Both pages are the same \d+ bytes\.", shown.output)
    shown.assert_nothing_is_left()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_stopped(demo, how):
    running = demo()
    url = url_of(running)
    alive = running.survivors()
    assert {"redis-server", "gunicorn", "nginx"} <= set(alive), alive

    def ask(path):
        with urllib.request.urlopen(url + path) as response:
            return response.headers["Cache-Status"], response.read()

    # The front page was shown; another one is stored on its own.
    first, again = ask("pages/news/?page=2"), ask("pages/news/?page=2")
    assert "fwd=uri-miss" in first[0] and "; hit" in again[0]
    assert first[1] == again[1]
    assert "; hit" in ask("")[0]

    running.process.send_signal(how)
    assert running.process.wait(30) == 0, running.output
    running.assert_nothing_is_left()


def test_it_says_what_is_missing(demo, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = demo("--once")
    assert refused.process.wait(60) == 1
    assert "redis-server is not installed" in refused.output
    assert list(refused.directory.iterdir()) == []

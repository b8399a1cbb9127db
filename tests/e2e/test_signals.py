"""nginx's signals under load: logs opened anew, the binary replaced while it serves, and the way back.
No visitor notices."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from support.load import Load
from support.nginx import Nginx
from support.ports import listens, wait_for
from support.site import BUDGET
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")


class Daemon(Nginx):
    """nginx takes no USR2 while the process that started it is its parent."""

    def start(self):
        self.write_config(self.config.replace("daemon off;", "daemon on;"))
        started = self._run()
        assert started.returncode == 0, started.stderr
        (self.directory / "stderr").write_text(started.stderr)
        wait_for(lambda: listens(self.port), "nginx")
        return self

    @property
    def pid(self) -> int:
        """That of the master which wrote its file last."""
        return wait_for(lambda: listed(self), "a pid")

    def stop(self):
        pid = self.pid
        os.kill(pid, signal.SIGQUIT)
        ends(pid)


@pytest.fixture
def nginx(tmp_path, redis, origin, io):
    # A binary is executed anew by the path that it was started by.
    nginx = Daemon(
        tmp_path / "nginx",
        http=f"redis_cache_io {io}; {BUDGET}",
        server=f"""
            location / {{ redis_cache {redis.url}; proxy_pass {origin.url}; }}
        """,
        nginx=[shutil.which("nginx")],
        workers=2,
    )
    for n in range(0, 10, 2):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored /{n}"))
    nginx.start()
    yield nginx
    nginx.stop()
    nginx.check_error_log()


def more(load, count=100):
    known = load.done
    wait_for(lambda: load.done > known + count, "requests")


def judge(load):
    assert not load.wrong, load.wrong[:5]
    assert load.stored > 50 and load.application > 50


def replaced(nginx) -> tuple[int, int]:
    """Has the binary replaced: the old master, and the new one once it serves."""
    old = nginx.pid
    os.kill(old, signal.SIGUSR2)
    written = lambda: listed(nginx) not in (None, old)  # noqa: E731
    wait_for(written, "the new master", 20)
    new = nginx.pid
    wait_for(lambda: len(workers(new)) == 2, "its workers")
    return old, new


def listed(nginx) -> int | None:
    """The pid in nginx's file; there is none while the binary is replaced."""
    try:
        text = (nginx.directory / "nginx.pid").read_text()
    except FileNotFoundError:
        return None
    return int(text) if text.endswith("\n") else None


def workers(pid: int) -> list[int]:
    """The children that are workers; a new master is a child of the old one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"worker process" in command_line(child)]


def command_line(pid) -> bytes:
    """Empty for a process that has ended: one may end between any two looks."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid):
    wait_for(lambda: not is_running(pid), "nginx to end", 15)


def retire(pid):
    """WINCH: its workers end, the master stays."""
    os.kill(pid, signal.SIGWINCH)
    wait_for(lambda: not workers(pid), "the workers to end")


def test_logs_that_are_opened_anew(nginx):
    log = nginx.directory / "logs/access.log"
    with Load(nginx) as load:
        for n in range(3):
            more(load)
            log.rename(log.with_suffix(f".{n}"))
            os.kill(nginx.pid, signal.SIGUSR1)
            wait_for(log.exists, "the new log")
        more(load)
    judge(load)
    logs = [log, *(log.with_suffix(f".{n}") for n in range(3))]
    lines = lambda: sum(len(one.read_text().splitlines()) for one in logs)  # noqa: E731
    wait_for(lambda: lines() == load.done, "a line of every request")


def test_a_binary_that_is_replaced(nginx):
    with Load(nginx, keepalive=False) as load:
        more(load)
        old, new = replaced(nginx)
        more(load)
        retire(old)
        more(load)
        os.kill(old, signal.SIGQUIT)
        ends(old)
        more(load)
    judge(load)
    assert nginx.pid == new


def test_a_new_binary_that_is_taken_back(nginx):
    """The old workers come again with HUP, and the new master ends."""
    with Load(nginx, keepalive=False) as load:
        old, new = replaced(nginx)
        retire(old)
        more(load)
        os.kill(old, signal.SIGHUP)
        wait_for(lambda: len(workers(old)) == 2, "the old workers")
        os.kill(new, signal.SIGQUIT)
        ends(new)
        more(load)
    judge(load)
    assert nginx.pid == old

"""Free TCP ports on loopback, different ones for every test process."""

import os
import socket

# Below Linux's ephemeral ports; every test process has a range of its own, and begins anywhere in
# it, so that two runs at a time seldom meet.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_RANGE = range(10000 + _worker * 2500, 12500 + _worker * 2500)
_next = os.getpid() * 97


def free_port() -> int:
    global _next
    while True:
        _next += 1
        port = _RANGE[_next % len(_RANGE)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(condition, what: str, seconds: float = 10.0, pause: float = 0.01):
    """Waits until `condition()` is true and returns its value."""
    import time

    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(pause)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0

"""Many who want one page at once, and an application that answers when it is let."""

import threading
from concurrent.futures import ThreadPoolExecutor

from .origin import Answer
from .pages import FRESH
from .ports import wait_for


class Gate:
    """An application that answers when it is let."""

    def __init__(self, origin):
        self.origin = origin
        self.opened = threading.Event()
        self.headers, self.status = list(FRESH), 200
        origin.answer = self

    def __call__(self, asked):
        self.opened.wait(20)
        number = len(self.origin.requests)
        return Answer(b"<p>%d</p>" % number, status=self.status, headers=self.headers)

    @property
    def asked(self):
        return len(self.origin.requests)


class Crowd:
    """Requests that are under way."""

    def __init__(self, nginx, count, target="/p", headers=None, method="GET"):
        self.pool = ThreadPoolExecutor(count)
        ask = lambda n: nginx.request(method, target, headers)  # noqa: E731
        self.futures = [self.pool.submit(ask, n) for n in range(count)]

    def answers(self):
        found = [future.result(30) for future in self.futures]
        self.pool.shutdown()
        return found


def waiting(nginx, count):
    """Waits until so many connections are open."""

    def is_so():
        status = nginx.get("/nginx").body.decode()
        return int(status.split("Active connections: ")[1].split()[0]) - 1 >= count

    wait_for(is_so, f"{count} connections")


STATUS = "location = /nginx { redis_cache off; stub_status; }"


def start(store, location="", **more):
    return store(location, locations=STATUS, **more)

"""Many requests at a time, each judged: the right stored page or the application's, and when."""

import threading
import time
from dataclasses import dataclass, field

from support.ports import wait_for


@dataclass
class Load:
    """`threads` clients that each send `each` requests for `/0` to `/9`, or until `stop`.

    A stored page of `/n` must have the body `stored /n`; the application says `app GET /n`.
    """

    nginx: object
    threads: int = 4
    each: int | None = None
    keepalive: bool = True
    stored: int = 0
    application: int = 0
    wrong: list = field(default_factory=list)
    slowest: float = 0.0

    def __post_init__(self):
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.answers = [0] * self.threads
        self.running = [threading.Thread(target=self._client, args=[n]) for n in range(self.threads)]

    def __enter__(self):
        for thread in self.running:
            thread.start()
        return self

    def __exit__(self, *_):
        if self.each is None:
            self.over.set()
        for thread in self.running:
            thread.join()

    @property
    def done(self) -> int:
        return self.stored + self.application + len(self.wrong)

    def wait_under_way(self):
        """Waits until what is under way has been answered, and is in the access log: each client's
        next request has been answered too."""
        before = list(self.answers)
        wait_for(lambda: all(now >= then + 2 for now, then in zip(self.answers, before)), "answers")

    def _client(self, number: int):
        client = self.nginx.client()
        n = 0
        while not self.over.is_set() and (self.each is None or n < self.each):
            target = f"/{n % 10}"
            n += 1
            began = time.monotonic()
            try:
                response = client.get(target)
                got = (response.status, response.body)
            except Exception as error:  # noqa: BLE001: whatever a client may see is counted
                got = repr(error)
                client.close()
            took = time.monotonic() - began
            with self.lock:
                self.answers[number] += 1
                self.slowest = max(self.slowest, took)
                if got == (200, b"stored " + target.encode()):
                    self.stored += 1
                elif got == (200, b"app GET " + target.encode()):
                    self.application += 1
                else:
                    self.wrong.append((target, got))
            if not self.keepalive:
                client.close()
        client.close()

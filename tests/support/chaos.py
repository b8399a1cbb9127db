"""Clients that do what they like, an application that takes its time, and a wire to Redis that is
cut: all drawn at random from one seed. Every page says which one it is, so that each can be judged."""

import random
import socket
import struct
import threading
import time
from collections import Counter

from .h2client import H2Client
from .raw import Raw, request_bytes
from .site import http_date

HOST = "chaos"
PAGES = 15
SIZES = [0, 100, 3000, 70_000, 300_000]
UNSAFE = ["POST", "PUT", "DELETE", "PATCH"]
INCLUDED = 3


def text(target: str) -> bytes:
    """The page of a target."""
    return b"<%s " % target.encode() + b"." * SIZES[len(target) * sum(target.encode()) % 5] + b">"


def included(n: int) -> list[str]:
    return [f"/p/{(n + k) % PAGES}" for k in range(INCLUDED)]


def outer(n: int) -> bytes:
    """A page with includes, as the application has it."""
    return b"".join(b'[<!--# include virtual="%s" -->]' % target.encode() for target in included(n))


def expected(target: str, method: str) -> bytes:
    if method in UNSAFE:
        return b"done %s " % method.encode() + text(target)
    place, n = target.strip("/").split("/")
    if place == "outer":
        return b"".join(b"[%s]" % text(part) for part in included(int(n)))
    return text(target)


class Application:
    """What a RawOrigin answers: pages that live for a second or two or not at all, in pieces."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def __call__(self, asked):
        pause = self.rng.choice([0, 0, 0, 0.002, 0.01, 0.05])
        body = outer(int(asked.target[7:])) if "/outer/" in asked.target else text(asked.target)
        if asked.target == "/auth":
            body = b""
        elif asked.method in UNSAFE:
            body = expected(asked.target, asked.method)
        age = self.rng.randrange(3)
        tag = '"%s"' % asked.target
        time.sleep(pause)
        head = f"Date: {http_date()}\r\nContent-Type: text/html\r\nETag: {tag}\r\n"
        head += f"Cache-Control: max-age={age}\r\n"
        if asked.header("If-None-Match") == tag:
            yield f"HTTP/1.1 304 Not Modified\r\n{head}\r\n".encode()
            return
        yield f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode()
        for piece in (body[: len(body) // 2], body[len(body) // 2 :]):
            yield piece
            time.sleep(pause)


def reset(client: Raw):
    """Leaves by RST instead of FIN."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class Chaos:
    """Clients on the ports of HTTP/1.1 and HTTP/2 until the end of the block. `wrong` has the
    answers that were no right ones, `lost` counts connections that ended while they were idle."""

    def __init__(self, nginx, port_of_http2: int, seed: int, clients: int = 8):
        self.nginx, self.port_of_http2 = nginx, port_of_http2
        self.over = threading.Event()
        self.wrong: list = []
        self.done: Counter = Counter()
        self.lost = 0
        # What each thread asked for last.
        self.asked: dict = {}
        self.running = [
            threading.Thread(target=self._client, args=(random.Random(f"{seed} {n}"),))
            for n in range(clients)
        ]

    def __enter__(self):
        for thread in self.running:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.running:
            thread.join()

    def _client(self, rng):
        actions = [self._ask, self._leave, self._streams]
        thread = threading.get_ident()
        with self.nginx.client(host=HOST) as client:
            while not self.over.is_set():
                action = rng.choice(actions)
                try:
                    action(rng, client)
                    self.done[action.__name__.strip("_")] += 1
                except ConnectionError:
                    self.lost += 1
                    client.close()
                except Exception as error:  # noqa: BLE001: whatever a client may see is counted
                    self.wrong.append((action.__name__, self.asked[thread], repr(error)))
                    client.close()

    def _draw(self, rng) -> tuple[str, str]:
        """A target and a method."""
        target = f"/{rng.choice(['p', 'p', 'granted', 'outer'])}/{rng.randrange(PAGES)}"
        method = rng.choice(["GET", "GET", "GET", rng.choice(UNSAFE)])
        self.asked[threading.get_ident()] = method, target
        return target, method

    def _judge(self, target, method, response):
        if (response.status, response.body) != (200, expected(target, method)):
            body = response.body
            self.wrong.append((method, target, response.status, len(body), body[:60]))

    def _ask(self, rng, client):
        target, method = self._draw(rng)
        body = b"x" * rng.choice([1, 20_000]) if method in UNSAFE else None
        self._judge(target, method, client.request(method, target, body=body))

    def _leave(self, rng, _):
        """Resets the connection at any moment."""
        target, method = self._draw(rng)
        body = b"x" * 100 if method in UNSAFE else b""
        length = [("Content-Length", str(len(body)))] if body else []
        request = request_bytes(target, method, HOST, length, body)
        part = rng.random() < 0.1
        raw = Raw(self.nginx.port)
        try:
            raw.send(request[: rng.randrange(len(request))] if part else request)
            time.sleep(rng.choice([0, 0.001, 0.003, 0.01, 0.05, 0.2]))
            if not part and rng.random() < 0.3:
                raw.socket.recv(rng.choice([1, 1000, 100_000]))
        finally:
            reset(raw)

    def _streams(self, rng, _):
        """Several requests of one connection, of which some are reset, and perhaps all."""
        with H2Client(self.port_of_http2) as client:
            streams = []
            for _ in range(rng.randrange(1, 8)):
                target, method = self._draw(rng)
                body = b"x" * 100 if method in UNSAFE else None
                streams.append((client.start(target, method, body=body, authority=HOST), target, method))
            time.sleep(rng.choice([0, 0.002, 0.02]))
            leaves = rng.random() < 0.2
            for stream, target, method in streams:
                if rng.random() < 0.3:
                    if stream not in client.ended:
                        client.reset(stream)
                elif not leaves:
                    self._judge(target, method, client.response(stream))


def trouble(proxy, rng: random.Random, over: threading.Event):
    """Does something to the wire to Redis a few times a second."""
    while not over.wait(rng.uniform(0.02, 0.4)):
        match rng.randrange(5):
            case 0:
                proxy.break_all()
            case 1:
                proxy.held = True
                over.wait(rng.uniform(0.01, 0.5))
                proxy.held = False
            case 2:
                proxy.delay = rng.choice([0, 0, 0.01, 0.1])
            case 3:
                proxy.cut = not proxy.cut
            case 4:
                proxy.delay, proxy.cut = 0.0, False
    proxy.delay, proxy.cut = 0.0, False

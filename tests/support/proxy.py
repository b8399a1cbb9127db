"""A proxy in front of Redis that delays, cuts, merges and breaks what passes through it."""

import random
import socket
import threading
import time

from .listener import Listener, cut


class Proxy:
    """Forwards bytes both ways. `delay` is in seconds a piece; with `cut` every piece is sent in
    parts of random sizes; `pushes` puts RESP3 push messages between replies it can tell apart;
    `break_all` resets every connection; `garbage` answers garbage instead; what the server says
    while it is `held` comes later."""

    def __init__(self, target_port: int, seed: int = 7, scheme: str = "redis"):
        self.target_port = target_port
        self.scheme = scheme
        self.random = random.Random(seed)
        self.delay = 0.0
        self.cut = False
        self.garbage = False
        self.endless = False
        self.held = False
        self.open: set[socket.socket] = set()
        self.listener = Listener(self._accept)
        self.port = self.listener.port

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/1"

    def stop(self):
        self.listener.close()
        self.break_all()

    def break_all(self):
        cut(self.open)

    def _accept(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), 5)
        except OSError:
            client.close()
            return
        self.open |= {client, server}
        for source, target, back in [(client, server, False), (server, client, True)]:
            arguments = (source, target, back)
            threading.Thread(target=self._forward, args=arguments, daemon=True).start()

    def _forward(self, source, target, back):
        try:
            while data := source.recv(65536):
                if back:
                    self._send_back(target, data)
                else:
                    target.sendall(data)
        except OSError:
            pass
        finally:
            self.open -= {source, target}
            cut([source, target])
            source.close()

    def _send_back(self, target, data):
        if self.garbage:
            data = self.random.randbytes(200)
        if self.endless:
            target.sendall(b"+")
            for _ in range(200):
                target.sendall(b"x" * 4096)
            return
        while self.held:
            time.sleep(0.01)
        if self.delay:
            time.sleep(self.random.uniform(0, self.delay))
        if not self.cut:
            target.sendall(data)
            return
        while data:
            size = self.random.choice([1, 2, 3, 7, 100, 1500, 20000])
            target.sendall(data[:size])
            data = data[size:]
            time.sleep(0.0005)

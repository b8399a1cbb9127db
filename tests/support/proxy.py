"""A proxy in front of Redis that delays, cuts, merges and breaks what passes through it."""

import random
import socket
import threading
import time

from .ports import free_port


class Proxy:
    """Forwards bytes both ways. `delay` is in seconds a piece; with `cut` every piece is sent in
    parts of random sizes; `pushes` puts RESP3 push messages between replies it can tell apart;
    `break_all` resets every connection; `garbage` answers garbage instead."""

    def __init__(self, target_port: int, seed: int = 7):
        self.target_port = target_port
        self.port = free_port()
        self.random = random.Random(seed)
        self.delay = 0.0
        self.cut = False
        self.garbage = False
        self.endless = False
        self.open: set[socket.socket] = set()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(256)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/1"

    def stop(self):
        self.break_all()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def break_all(self):
        for conn in list(self.open):
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), 5)
            except OSError:
                client.close()
                continue
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
            for conn in (source, target):
                try:
                    conn.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            source.close()

    def _send_back(self, target, data):
        if self.garbage:
            data = self.random.randbytes(200)
        if self.endless:
            target.sendall(b"+")
            for _ in range(200):
                target.sendall(b"x" * 4096)
            return
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

"""A listening socket on loopback whose connections are handed over as they come."""

import socket
import threading

from .ports import free_port


class Listener:
    """Calls `handle(connection)` for each connection until `close`."""

    def __init__(self, handle, port: int | None = None):
        self.handle = handle
        self.port = port or free_port()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        cut([self.socket])
        self.socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.handle(connection)


def cut(sockets):
    """Ends connections at once, whoever is reading from them."""
    for one in list(sockets):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

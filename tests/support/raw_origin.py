"""An application that writes any bytes: truncated, reset, endless, closed at the wrong moment."""

import socket
import struct
import threading
from dataclasses import dataclass

from .listener import Listener, cut
from .origin import Asked


@dataclass
class Reset:
    """Ends the connection with RST."""


class RawOrigin:
    """`answer(asked)` gives bytes, or yields pieces of bytes; a `Reset` among them resets the
    connection, which else is closed behind the last piece, unless `keeps_open`."""

    def __init__(self, keeps_open: bool = False):
        self.requests: list[Asked] = []
        self.answer = lambda asked: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.keeps_open = keeps_open
        self.open: set[socket.socket] = set()
        self.listener = Listener(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.port}"

    @property
    def last(self) -> Asked:
        return self.requests[-1]

    def stop(self):
        self.listener.close()
        cut(self.open)

    def _accept(self, conn):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open.add(conn)
        threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        reader = conn.makefile("rb")
        try:
            while asked := self._request(reader):
                self.requests.append(asked)
                pieces = self.answer(asked)
                for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                    if isinstance(piece, Reset):
                        linger = struct.pack("ii", 1, 0)
                        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        return
                    conn.sendall(piece)
                if not self.keeps_open:
                    return
        except (OSError, ValueError):
            pass
        finally:
            self.open.discard(conn)
            reader.close()
            conn.close()

    @staticmethod
    def _request(reader) -> Asked | None:
        line = reader.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while (line := reader.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        asked = Asked(method, target, headers, b"")
        asked.body = reader.read(int(asked.header("Content-Length") or 0))
        return asked

"""A Redis that misbehaves as told: every faulty thing a server can put on the wire."""

import socket
import ssl
import threading

from .listener import Listener, cut

HELLO_REPLY = b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n"


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


class FakeRedis:
    """Answers HELLO, AUTH, SELECT and PING well, and every GET by `on_get(self, conn, key)`.

    `on_get` gets the connected socket and the key, and writes what it likes; it may close the
    socket. By default it answers nil. `on_command(conn, words)` may answer any command itself and
    then returns True.

    With `context`, an ssl.SSLContext, it speaks TLS: `names` are those that clients asked for,
    `resumed` says of each handshake whether it continued an earlier session, `failures` are the
    errors of those that failed.
    """

    def __init__(self, port: int | None = None, context: ssl.SSLContext | None = None):
        self.commands: list[list[bytes]] = []
        self.connections = 0
        self.on_get = lambda conn, key: conn.sendall(b"_\r\n")
        self.on_command = lambda conn, words: False
        self.names: list[str | None] = []
        self.resumed: list[bool] = []
        self.failures: list[OSError] = []
        self.context = context
        if context:
            context.sni_callback = lambda conn, name, context: self.names.append(name)
        self.open: set[socket.socket] = set()
        self.listener = Listener(self._accept, port)
        self.port = self.listener.port

    @property
    def url(self) -> str:
        scheme = "rediss" if self.context else "redis"
        return f"{scheme}://127.0.0.1:{self.port}/1"

    def gets(self) -> list[bytes]:
        """The keys that were asked for."""
        return [words[1] for words in self.commands if words[0].upper() == b"GET"]

    def cut(self):
        """Ends all connections."""
        cut(self.open)

    def stop(self):
        self.listener.close()
        self.cut()

    def _accept(self, conn):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self.open.add(conn)
        threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _handshake(self, conn):
        """The connection with TLS in it, if it comes to that."""
        try:
            secure = self.context.wrap_socket(conn, server_side=True)
        except OSError as error:
            self.failures.append(error)
            return None
        self.resumed.append(secure.session_reused)
        self.open.add(secure)
        return secure

    def _serve(self, conn):
        if self.context:
            self.open.discard(conn)
            conn = self._handshake(conn)
            if conn is None:
                return
        reader = conn.makefile("rb")
        try:
            while words := self._command(reader):
                self.commands.append(words)
                if self.on_command(conn, words):
                    continue
                match words[0].upper():
                    case b"HELLO":
                        conn.sendall(HELLO_REPLY)
                    case b"GET":
                        self.on_get(conn, words[1])
                    case b"PING":
                        conn.sendall(b"+PONG\r\n")
                    case _:
                        conn.sendall(b"+OK\r\n")
        except (OSError, ValueError):
            pass
        finally:
            self.open.discard(conn)
            conn.close()

    @staticmethod
    def _command(reader) -> list[bytes] | None:
        line = reader.readline()
        if not line:
            return None
        words = []
        for _ in range(int(line[1:])):
            length = int(reader.readline()[1:])
            words.append(reader.read(length))
            reader.read(2)
        return words

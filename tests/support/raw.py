"""HTTP/1.1 over a bare socket: any bytes, pipelining, half requests, interim responses."""

import socket

from .http import Response


def request_bytes(target="/", method="GET", host="h", headers=(), body=b"", version="1.1") -> bytes:
    """A request; `target` may be bytes, `host=None` sends no Host."""
    target = target if isinstance(target, bytes) else target.encode()
    lines = [method.encode() + b" " + target + b" HTTP/" + version.encode()]
    fields = [("Host", host)] if host is not None else []
    for name, value in [*fields, *headers]:
        value = value if isinstance(value, bytes) else value.encode()
        lines.append(name.encode() + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Raw:
    """A connection that sends what it is told and takes responses apart."""

    def __init__(self, port: int, timeout: float = 10, receive_buffer: int | None = None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.reader = self.socket.makefile("rb")
        self.interim: list[int] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, data: bytes):
        self.socket.sendall(data)
        return self

    def response(self, head=False) -> Response:
        """The next final response; `head` is that to a HEAD."""
        while True:
            status_line = self.reader.readline()
            if not status_line:
                raise ConnectionError("the connection ended instead of a response")
            assert status_line.startswith(b"HTTP/1.1 "), status_line
            status = int(status_line.split()[1])
            headers = []
            while (line := self.reader.readline().rstrip(b"\r\n")) != b"":
                name, _, value = line.partition(b":")
                headers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
            if status >= 200:
                break
            self.interim.append(status)
        response = Response(status, headers, b"")
        if head or status in (204, 304):
            return response
        if response.header("Transfer-Encoding") == "chunked":
            response.body = self._chunked()
        elif response.header("Content-Length") is not None:
            response.body = self.reader.read(int(response.header("Content-Length")))
        else:
            response.body = self.reader.read()
        return response

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.reader.readline().split(b";")[0], 16):
            body += self.reader.read(size)
            self.reader.readline()
        self.reader.readline()
        return body

    def is_closed(self) -> bool:
        """Whether the peer ends the connection without another byte."""
        return self.reader.read(1) == b""


def exchange(port: int, *requests: bytes) -> list[Response]:
    """Sends all requests at once on one connection and returns the response to each."""
    with Raw(port) as raw:
        raw.send(b"".join(requests))
        return [raw.response(head=request.startswith(b"HEAD")) for request in requests]

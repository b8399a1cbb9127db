"""HTTP/3 over QUIC: several streams at a time on one connection."""

import socket
import time
from pathlib import Path

from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamReset

from .http import Response


class Connection(H3Connection):
    """The answer to HEAD states the length of a body that it has not."""

    def __init__(self, quic: QuicConnection):
        super().__init__(quic)
        self.heads: set[int] = set()

    def _check_content_length(self, stream):
        if stream.stream_id not in self.heads:
            super()._check_content_length(stream)


class H3Client:
    """`trusted` has the certificate of who issued that of the server, which is for `localhost`."""

    def __init__(self, port: int, trusted: Path, timeout: float = 10):
        self.authority, self.timeout = f"127.0.0.1:{port}", timeout
        self.server = ("127.0.0.1", port)
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name="localhost")
        configuration.load_verify_locations(str(trusted))
        self.quic = QuicConnection(configuration=configuration)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(self.server)
        self.responses: dict[int, Response] = {}
        self.ended: set[int] = set()
        self.is_connected = False
        self.quic.connect(self.server, time.time())
        self._until(lambda: self.is_connected, "the handshake")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection, and tells the server so."""
        self.quic.close(error_code=ErrorCode.H3_NO_ERROR)
        self._flush()
        self.socket.close()

    def start(self, target="/", method="GET", headers=(), body=None, authority=None) -> int:
        """Sends a request and returns its stream."""
        stream = self.quic.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":path", target)]
        fields = [*pseudo, (":authority", authority or self.authority), *headers]
        encoded = [(name.lower().encode(), value.encode()) for name, value in fields]
        if method == "HEAD":
            self.h3.heads.add(stream)
        self.h3.send_headers(stream, encoded, end_stream=body is None)
        if body is not None:
            self.h3.send_data(stream, body, end_stream=True)
        self._flush()
        return stream

    def reset(self, stream: int):
        """Gives a request up, as browsers do."""
        self.quic.stop_stream(stream, ErrorCode.H3_REQUEST_CANCELLED)
        self._flush()

    def response(self, stream: int) -> Response:
        """The whole response on a stream; those on others are kept for their turn."""
        self._until(lambda: stream in self.ended, f"the response on stream {stream}")
        return self.responses.pop(stream)

    def get(self, target="/", headers=(), **arguments) -> Response:
        return self.response(self.start(target, headers=headers, **arguments))

    def _flush(self):
        for datagram, _ in self.quic.datagrams_to_send(time.time()):
            self.socket.send(datagram)

    def _until(self, is_done, what: str):
        end = time.time() + self.timeout
        while not is_done():
            self._flush()
            now = time.time()
            if now > end:
                raise TimeoutError(f"waited {self.timeout} s in vain for {what}")
            due = min(self.quic.get_timer() or end, end)
            self.socket.settimeout(max(due - now, 0.001))
            try:
                self.quic.receive_datagram(self.socket.recv(65536), self.server, time.time())
            except TimeoutError:
                self.quic.handle_timer(time.time())
            while event := self.quic.next_event():
                self._take(event)
        self._flush()

    def _take(self, event):
        match event:
            case HandshakeCompleted():
                self.h3 = Connection(self.quic)
                self.is_connected = True
            case ConnectionTerminated():
                raise ConnectionError(f"the connection ended: {event}")
            case StreamReset():
                self.ended.add(event.stream_id)
        for found in self.h3.handle_event(event) if self.is_connected else []:
            self._take_http(found)

    def _take_http(self, event):
        match event:
            case HeadersReceived():
                headers = [(name.decode(), value.decode()) for name, value in event.headers]
                status = int(dict(headers)[":status"])
                fields = [(name, value) for name, value in headers if name[0] != ":"]
                self.responses[event.stream_id] = Response(status, fields, b"")
            case DataReceived():
                self.responses[event.stream_id].body += event.data
        if getattr(event, "stream_ended", False):
            self.ended.add(event.stream_id)

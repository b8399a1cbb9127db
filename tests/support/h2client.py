"""HTTP/2, over plain TCP with prior knowledge or over TLS: several streams at a time on one
connection."""

import socket
import ssl

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from .http import Response


class H2Client:
    def __init__(self, port: int, timeout: float = 10, context: ssl.SSLContext | None = None):
        self.authority = f"127.0.0.1:{port}"
        self.scheme = "https" if context else "http"
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        if context:
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        self.h2.update_settings({0x4: 1 << 24})
        self.responses: dict[int, Response] = {}
        self.ended: set[int] = set()
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def start(self, target="/", method="GET", headers=(), body=None, authority=None) -> int:
        """Sends a request and returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", self.scheme), (":path", target)]
        pseudo.append((":authority", authority or self.authority))
        self.h2.send_headers(stream, [*pseudo, *headers], end_stream=body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=True)
        self._flush()
        return stream

    def reset(self, stream: int):
        self.h2.reset_stream(stream, error_code=8)
        self._flush()

    def response(self, stream: int) -> Response:
        """The whole response on a stream; those on others are kept for their turn."""
        while stream not in self.ended:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the connection ended instead of a response")
            for event in self._events(data):
                self._take(event)
            self._flush()
        return self.responses.pop(stream)

    def _events(self, data):
        try:
            return self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            # After a GOAWAY, which lets streams end, h2 takes nothing more.
            if "ConnectionState.CLOSED" in str(error):
                raise ConnectionError("GOAWAY") from None
            raise

    def _take(self, event):
        match event:
            case h2.events.ResponseReceived():
                headers = [(name, value) for name, value in event.headers if name[0] != ":"]
                status = int(dict(event.headers)[":status"])
                self.responses[event.stream_id] = Response(status, headers, b"")
            case h2.events.DataReceived():
                if event.stream_id in self.responses:
                    self.responses[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self.responses[event.stream_id].headers += event.headers
            case h2.events.StreamEnded() | h2.events.StreamReset():
                self.ended.add(event.stream_id)
            case h2.events.ConnectionTerminated():
                raise ConnectionError(f"GOAWAY {event.error_code}")

    def get(self, target="/", headers=(), **arguments) -> Response:
        return self.response(self.start(target, headers=headers, **arguments))

"""A gRPC application: HTTP/2 over plain TCP, an answer with trailers to every call."""

import socket
import threading

import h2.config
import h2.connection
import h2.events

from .listener import Listener, cut
from .origin import Asked

TYPE = ("content-type", "application/grpc")


def framed(text: bytes) -> bytes:
    """A message as gRPC puts it on the wire."""
    return b"\0" + len(text).to_bytes(4, "big") + text


class GrpcOrigin:
    """`answer(asked)` gives the messages of an answer and its grpc-status; without messages the
    status is in the header, and there is nothing else."""

    def __init__(self):
        self.requests: list[Asked] = []
        self.answer = lambda asked: ([asked.body], 0)
        self.open: set[socket.socket] = set()
        self.listener = Listener(self._accept)

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.listener.port}"

    def stop(self):
        self.listener.close()
        cut(self.open)

    def _accept(self, conn):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open.add(conn)
        threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        http2 = h2.connection.H2Connection(config)
        http2.initiate_connection()
        calls: dict[int, Asked] = {}
        try:
            conn.sendall(http2.data_to_send())
            while data := conn.recv(65536):
                for event in http2.receive_data(data):
                    self._take(http2, calls, event)
                conn.sendall(http2.data_to_send())
        except OSError:
            pass
        finally:
            self.open.discard(conn)
            conn.close()

    def _take(self, http2, calls, event):
        match event:
            case h2.events.RequestReceived():
                names = dict(event.headers)
                asked = Asked(names[":method"], names[":path"], event.headers, b"")
                calls[event.stream_id] = asked
            case h2.events.DataReceived():
                calls[event.stream_id].body += event.data
                http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self._answer(http2, event.stream_id, calls.pop(event.stream_id))

    def _answer(self, http2, stream, asked):
        self.requests.append(asked)
        messages, status = self.answer(asked)
        outcome = ("grpc-status", str(status))
        if not messages:
            http2.send_headers(stream, [(":status", "200"), TYPE, outcome], end_stream=True)
            return
        http2.send_headers(stream, [(":status", "200"), TYPE])
        for message in messages:
            http2.send_data(stream, message)
        http2.send_headers(stream, [outcome], end_stream=True)

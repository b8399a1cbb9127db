"""An HTTP/1.1 client that sends exactly what a test says."""

import http.client
from dataclasses import dataclass

# A stored page may have 100 fields, and nginx adds its own.
http.client._MAXHEADERS = 200


@dataclass
class Response:
    status: int
    headers: list
    body: bytes

    def header(self, name: str):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name: str) -> list:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def cache(self):
        """Status word and reason of Cache-Status: ("hit", "fresh"), ("fwd=uri-miss", "absent")."""
        value = self.header("Cache-Status")
        if value is None:
            return None
        parts = [part.strip() for part in value.split(",")[-1].split(";")]
        return parts[1], parts[-1].removeprefix("detail=")


class Client:
    """One connection, kept alive over requests; with `context`, an ssl.SSLContext, over TLS."""

    def __init__(self, port: int, timeout: float = 10, host: str | None = None, context=None):
        self.host = host or f"127.0.0.1:{port}"
        secure = {"context": context} if context else {}
        connect = http.client.HTTPSConnection if context else http.client.HTTPConnection
        self.connection = connect("127.0.0.1", port, timeout=timeout, **secure)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def request(self, method, target="/", headers=None, body=None, host=None) -> Response:
        """`headers` is a dict or a list of pairs; `host=""` sends no Host header at all."""
        connection = self.connection
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        host = self.host if host is None else host
        if host:
            connection.putheader("Host", host)
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        names = {name.lower() for name, _ in pairs}
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            pairs.append(("Content-Length", str(len(body))))
        for name, value in pairs:
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return Response(response.status, response.getheaders(), response.read())

    def get(self, target="/", headers=None, **arguments) -> Response:
        return self.request("GET", target, headers, **arguments)

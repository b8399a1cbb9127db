"""A scripted application: records what it was asked and answers as told."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .ports import free_port


@dataclass
class Asked:
    """One request as the application got it."""

    method: str
    target: str
    headers: list
    body: bytes

    def header(self, name: str):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[0] if values else None


@dataclass
class Answer:
    """One answer of the application; `headers` are a dict or a list of pairs."""

    body: bytes = b""
    status: int = 200
    headers: dict | list = field(default_factory=lambda: {"Content-Type": "text/plain"})


class Origin:
    """Answers `app METHOD TARGET` unless `answer` is set to a function of `Asked`."""

    def __init__(self, port: int | None = None):
        self.requests: list[Asked] = []
        self.answer = lambda asked: Answer(f"app {asked.method} {asked.target}".encode())
        self.port = port or free_port()
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    body = self._chunked()
                asked = Asked(self.command, self.path, self.headers.items(), body)
                origin.requests.append(asked)
                answer = origin.answer(asked)
                headers = answer.headers
                pairs = list(headers.items() if isinstance(headers, dict) else headers)
                # A Date or Server of its own takes the place of that of http.server.
                self.send_response_only(answer.status)
                if not any(name.lower() == "date" for name, _ in pairs):
                    self.send_header("Date", self.date_time_string())
                for name, value in pairs:
                    self.send_header(name, value)
                if answer.status >= 200 and answer.status not in (204, 304):
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD" and answer.status not in (204, 304):
                    self.wfile.write(answer.body)

            do_HEAD = do_PURGE = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

            def _chunked(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Asked:
        return self.requests[-1]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

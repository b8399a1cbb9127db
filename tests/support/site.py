"""One nginx that stores, with an application that writes any bytes, for the tables of a whole
module: every case has a target of its own."""

import itertools
import time
from contextlib import contextmanager
from email.utils import formatdate

from .nginx import Nginx
from .raw_origin import RawOrigin
from .redis_server import RedisServer
from .stored import key_of

# The defaults are for production; a test machine may be busy.
BUDGET = "redis_cache_connect_timeout 2s; redis_cache_timeout 2s;"
LIFETIME = ("Cache-Control", "max-age=3600")


def http_date(offset: float = 0) -> str:
    """The time `offset` seconds from now."""
    return formatdate(time.time() + offset, usegmt=True)


def message(status="200 OK", headers=(), body=b"", method="GET") -> bytes:
    """A response; Content-Length and Date are added where they are not among the headers, and
    left out where their value there is None."""
    fields = list(headers)
    names = {name.lower() for name, _ in fields}
    if not names & {"content-length", "transfer-encoding"} and status[:3] not in ("204", "304"):
        fields.append(("Content-Length", str(len(body))))
    if "date" not in names:
        fields.append(("Date", http_date()))
    lines = [f"{name}: {value}" for name, value in fields if value is not None]
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines]).encode("latin-1") + b"\r\n\r\n"
    return head if method == "HEAD" or status[:3] in ("204", "304") else head + body


class Site:
    """The cache is at every location; `places` adds some with directives of their own."""

    def __init__(self, directory, places: dict, app="", http="", server="", io="event"):
        self.redis = RedisServer(directory / "redis")
        self.origin = RawOrigin()
        self.targets = itertools.count()
        cache = f"redis_cache {self.redis.url}; redis_cache_store on; redis_cache_status_header on;"
        proxy = f"proxy_pass {self.origin.url}; proxy_set_header Host $http_host; {app}"
        locations = "".join(
            f"location {place} {{ {cache} {directives} {proxy} }}\n"
            for place, directives in {"/": "", **places}.items()
        )
        self.nginx = Nginx(
            directory / "nginx",
            http=f"redis_cache_io {io};\n{BUDGET}\n{http}",
            server=f"{server}\n{locations}",
        )

    def target(self, place="/") -> str:
        return f"{place}t{next(self.targets)}"

    def asked(self, target) -> list:
        """What the application was asked about a target."""
        return [asked for asked in self.origin.requests if asked.target == target]

    def answers(self, headers=(), status="200 OK", body=None):
        """Every answer has its number in the body, unless it has a body of its own."""

        def answer(asked):
            number = len(self.asked(asked.target))
            text = b"answer %d" % number if body is None else body
            return message(status, headers, text, asked.method)

        self.origin.answer = answer

    def get(self, target, headers=(), method="GET", **arguments):
        """A request; what it makes the cache write has a moment to arrive in Redis."""
        response = self.nginx.request(method, target, list(dict(headers).items()), **arguments)
        time.sleep(0.02)
        return response

    def stored(self, target):
        with self.redis.client() as client:
            return client.get(key_of(self.nginx, target))

    def twice(self, headers=(), status="200 OK", place="/", first=(), second=(), body=None):
        """Two GETs of a new target: both responses, and how often the application was asked."""
        self.answers(headers, status, body)
        target = self.target(place)
        responses = [self.get(target, first), self.get(target, second)]
        return (*responses, len(self.asked(target)))

    def reuses(self, headers=(), status="200 OK", place="/", first=(), second=()) -> bool:
        """Whether the second of two GETs is answered without the application."""
        one, two, count = self.twice(headers, status, place, first, second)
        assert one.body == b"answer 1", one
        assert two.body == b"answer %d" % count, two
        assert (count == 1) == (two.cache[0] == "hit"), two.cache
        return count == 1


@contextmanager
def site(directory, places=None, **arguments):
    site = Site(directory, places or {}, **arguments)
    try:
        site.redis.start()
        site.nginx.start()
        yield site
    finally:
        site.nginx.stop()
        site.redis.stop()
        site.origin.stop()
    site.nginx.check_error_log()

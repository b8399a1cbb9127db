"""An application with its recipe in front of it: `cached` is the recipe, `plain` the same without the
cache."""

from functools import cached_property
from pathlib import Path

from support.redis_server import RedisServer

from . import recipe
from .crawl import Site
from .visitor import Visitor


class Edge:
    def __init__(self, name: str, app):
        self.app = app
        self.recipe = recipe.text(name)
        self.written, self.rest = recipe.split(self.recipe)
        self.servers = []

    def start(self, directory: Path):
        self.app.start()
        self.redis = RedisServer(directory / "redis").start()
        replace = {**self.app.replace, recipe.REDIS: self.redis.url}
        self.cached = recipe.start(self.recipe, directory / "cached", replace)
        self.servers.append(self.cached)
        self.plain = recipe.start(self.rest, directory / "plain", replace)
        self.servers.append(self.plain)
        self.app.purges(self.cached)
        self.site = Site(self.plain, self.app.masks, self.app.skip)

    def stop(self):
        for nginx in self.servers:
            nginx.stop()
        if hasattr(self, "redis"):
            self.redis.stop()
        self.app.stop()
        for nginx in self.servers:
            nginx.check_error_log()

    @cached_property
    def targets(self) -> list[str]:
        """What an anonymous crawl finds."""
        return list(self.site.crawl(self.app.begin, 64))

    def forget(self):
        with self.redis.client() as client:
            client.flushdb()

    def stored(self) -> dict[bytes, bytes]:
        """All that is in Redis."""
        with self.redis.client() as client:
            return {key: client.get(key) for key in client.scan_iter()}

    def visitor(self, **arguments) -> Visitor:
        return Visitor(self.cached, **arguments)

    def visit(self, target: str):
        """How somebody sees a page whom nobody knows."""
        return self.visitor().get(target)

    def warm(self, *targets: str):
        """Has the pages in the cache."""
        for target in targets:
            self.visit(target)
            assert self.visit(target).cache[0] == "hit", target

    def login(self):
        return self.app.login(self.cached)

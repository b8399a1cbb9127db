"""The Redis and Valkey of Debian's suites, unpacked."""

import functools
import re
from dataclasses import dataclass

from filelock import FileLock
from support.debian import MATRIX, Failed, Packages, Unavailable, run


@dataclass(frozen=True)
class Kind:
    """A server of a suite. One without HELLO speaks RESP2 alone, as Redis did before version 6."""

    suite: str
    package: str
    hello: bool = True

    @property
    def is_redis_6(self) -> bool:
        return (self.suite, self.package) == ("bullseye", "redis")


KINDS = {
    "redis-bullseye": Kind("bullseye", "redis"),
    "redis-bookworm": Kind("bookworm", "redis"),
    "redis-trixie": Kind("trixie", "redis"),
    "redis-experimental": Kind("experimental", "redis"),
    "valkey-trixie": Kind("trixie", "valkey"),
    "valkey-sid": Kind("sid", "valkey"),
    "redis-bullseye-resp2": Kind("bullseye", "redis", hello=False),
    "valkey-sid-resp2": Kind("sid", "valkey", hello=False),
}
# This one is never skipped.
CERTAIN = "bookworm"


@dataclass(frozen=True)
class Program:
    """`command` starts it, `name` is what it says of itself: `Redis 7.0.15`."""

    command: list[str]
    name: str
    package: str


@functools.cache
def program(suite: str, package: str) -> Program | Unavailable | Failed:
    """The server of a suite, or why there is none."""
    MATRIX.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(MATRIX / f"{suite}.lock"):
            packages = Packages(suite, f"{package}-server", f"{package}-tools")
            packages.unpack()
        command = packages.command(f"usr/bin/{package}-server")
        name = re.sub(r"^(\w+) server v=(\S+) .*", r"\1 \2", run([*command, "--version"]).strip())
        version = packages.versions[f"{package}-server"].rpartition(":")[2]
        return Program(command, name, f"{version}, {suite}")
    except (Unavailable, Failed) as reason:
        return reason

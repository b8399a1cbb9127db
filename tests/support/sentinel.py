"""Real Sentinels, and a primary with replicas that several of them watch."""

from contextlib import suppress
from pathlib import Path

import redis

from .ports import wait_for
from .redis_server import RedisServer, wait_handed_on


class Sentinel(RedisServer):
    """Knows the Redis on `port` as `name`; `settings` are more lines of its configuration."""

    def __init__(self, directory: Path, name: str, port: int, settings=(), quorum: int = 1):
        super().__init__(directory, db=0)
        self.config = self.directory / "sentinel.conf"
        lines = [f"sentinel monitor {name} 127.0.0.1 {port} {quorum}", *settings]
        self.config.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [
            *self.program, str(self.config), "--sentinel", "--port", str(self.port),
            "--bind", "127.0.0.1", "--dir", str(self.directory),
        ]  # fmt: skip


class Watched:
    """A primary with replicas and the Sentinels that watch it. With `password` the servers want it,
    with `sentinel_password` the Sentinels want that one."""

    name = "main"

    def __init__(
        self,
        directory: Path,
        replicas: int = 2,
        sentinels: int = 3,
        options: tuple[str, ...] = (),
        password: str | None = None,
        sentinel_password: str | None = None,
    ):
        self.password, self.sentinel_password = password, sentinel_password
        login = ["--requirepass", password, "--masterauth", password] if password else []
        # A replica counts when it has got something, if it is only a PING.
        common = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", *login]
        first = RedisServer(directory / "server0", *common, *options)
        self.servers = [first]
        for number in range(1, replicas + 1):
            of = ["--replicaof", "127.0.0.1", str(first.port)]
            self.servers.append(RedisServer(directory / f"server{number}", *common, *of, *options))
        quorum = sentinels // 2 + 1
        self.sentinels = [
            Sentinel(directory / f"sentinel{n}", self.name, first.port, quorum=quorum)
            for n in range(sentinels)
        ]
        for number, sentinel in enumerate(self.sentinels):
            with open(sentinel.config, "a") as config:
                config.writelines(f"{line}\n" for line in self._settings(number))

    def _settings(self, own: int) -> list[str]:
        """What a Sentinel would find out in some seconds stands there from the beginning."""
        name = self.name
        lines = [
            f"sentinel myid {_id(own)}",
            f"sentinel down-after-milliseconds {name} 1200",
            f"sentinel failover-timeout {name} 4000",
            f"sentinel parallel-syncs {name} 2",
        ]
        if self.password:
            lines.append(f'sentinel auth-pass {name} "{self.password}"')
        if self.sentinel_password:
            lines += [f'requirepass "{self.sentinel_password}"']
            lines += [f'sentinel sentinel-pass "{self.sentinel_password}"']
        for server in self.servers[1:]:
            lines.append(f"sentinel known-replica {name} 127.0.0.1 {server.port}")
        for number, sentinel in enumerate(self.sentinels):
            if number != own:
                address = f"127.0.0.1 {sentinel.port} {_id(number)}"
                lines.append(f"sentinel known-sentinel {name} {address}")
        return lines

    @property
    def addresses(self) -> str:
        """The Sentinels as the directive `sentinel` takes them."""
        return " ".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def directive(self) -> str:
        return f"sentinel {self.name} {self.addresses};"

    def start(self):
        for server in self.servers:
            server.start()
        self.wait_replicas()
        self.start_sentinels()
        return self

    def start_sentinels(self):
        for sentinel in self.sentinels:
            sentinel.start()
            with self.ask(sentinel) as client, suppress(redis.ResponseError):
                # Faster than by default, so that a replica that was a primary is told soon. Redis
                # has this since version 7.
                # A PING has to come well within the time after which a server counts as down.
                client.execute_command(
                    "SENTINEL DEBUG", "INFO-PERIOD", 500, "PUBLISH-PERIOD", 300, "PING-PERIOD", 500
                )
        wait_for(lambda: all(self._sees_all(one) for one in self.sentinels), "the Sentinels", 20)

    def _sees_all(self, sentinel) -> bool:
        with self.ask(sentinel) as client:
            state = client.sentinel_master(self.name)
        seen = state["num-slaves"], state["num-other-sentinels"]
        return seen == (len(self.servers) - 1, len(self.sentinels) - 1) and not state["is_odown"]

    def stop(self):
        for server in [*self.sentinels, *self.servers]:
            server.stop()

    def connect(self, server, **arguments) -> redis.Redis:
        return server.client(password=self.password, **arguments)

    def ask(self, sentinel, **arguments) -> redis.Redis:
        return sentinel.client(password=self.sentinel_password, **arguments)

    # Who is who.

    def primary_of(self, sentinel) -> int:
        """The port of the primary that a Sentinel names."""
        with self.ask(sentinel) as client:
            return client.sentinel_get_master_addr_by_name(self.name)[1]

    @property
    def primary(self) -> RedisServer:
        port = self.primary_of(next(one for one in self.sentinels if one.answers()))
        return next(server for server in self.servers if server.port == port)

    @property
    def replicas(self) -> list[RedisServer]:
        primary = self.primary
        return [server for server in self.servers if server is not primary]

    def writable(self) -> bool:
        """Whether the primary that all Sentinels name is one."""
        named = {self.primary_of(one) for one in self.sentinels if one.answers()}
        if len(named) != 1:
            return False
        try:
            with self.connect(self.primary, socket_timeout=1) as client:
                return client.info("replication")["role"] == "master"
        except redis.RedisError:
            return False

    def wait_replicas(self, seconds: float = 20):
        """Waits until all servers but one follow it."""
        wait_for(self._follow, "the replicas", seconds, 0.05)

    def _follow(self) -> bool:
        links = []
        for server in self.servers:
            try:
                with self.connect(server) as client:
                    links.append(client.info("replication").get("master_link_status", "primary"))
            except redis.RedisError:
                return False
        return sorted(links) == ["primary", *["up"] * (len(links) - 1)]

    # What operators do.

    def fail_over(self) -> RedisServer:
        """SENTINEL FAILOVER, until the Sentinels agree on the new primary."""
        before = self.primary
        with self.ask(self.sentinels[0]) as client:
            client.execute_command("SENTINEL FAILOVER", self.name)
        return self.wait_primary(before)

    def wait_primary(self, before, seconds: float = 30) -> RedisServer:
        """Waits until another server than `before` is the primary, for all Sentinels."""
        done = lambda: self.primary is not before and self.writable()  # noqa: E731
        wait_for(done, "the failover", seconds, 0.05)
        return self.primary

    def add_user(self, name: str, *rules: str):
        for server in self.servers:
            with self.connect(server) as client:
                client.execute_command("ACL", "SETUSER", name, "on", *rules)

    def add_sentinel_user(self, name: str, *rules: str):
        for sentinel in self.sentinels:
            with self.ask(sentinel) as client:
                client.execute_command("ACL", "SETUSER", name, "on", *rules)

    def set(self, key, value, **arguments):
        with self.connect(self.primary) as client:
            client.set(key, value, **arguments)

    def wait_handed_on(self):
        """Waits until all replicas have what the primary has confirmed so far."""
        for replica in self.replicas:
            with self.connect(self.primary) as primary, self.connect(replica) as client:
                wait_handed_on(primary, client)

    def wait_for_key(self, server, key, seconds: float = 10):
        with self.connect(server) as client:
            wait_for(lambda: client.exists(key), "the replica to have the key", seconds)


def _id(number: int) -> str:
    return f"{number + 1:040x}"

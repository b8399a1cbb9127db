"""A real Redis Cluster on loopback: primaries, and replicas of each where a test wants them."""

from pathlib import Path

import redis
from redis.crc import key_slot

from .ports import free_port, wait_for
from .redis_server import RedisServer, wait_handed_on

SLOTS = 16384


class Cluster:
    """`nodes` primaries with `replicas` each; `options` go to every redis-server. The servers begin
    with a map that knows all of them, so nothing has to be made known first."""

    # Redis 6 cannot be told the port of its bus, which is so far above its own.
    bus_offset: int | None = None

    def __init__(
        self,
        directory: Path,
        nodes: int = 3,
        replicas: int = 0,
        options: tuple[str, ...] = (),
        node_timeout: int = 1500,
        password: str | None = None,
    ):
        self.password = password
        login = ["--requirepass", password, "--masterauth", password] if password else []
        self.nodes = []
        self.buses = {}
        for number in range(nodes * (1 + replicas)):
            port = free_port()
            bus = port + self.bus_offset if self.bus_offset else free_port()
            settings = [
                *([] if self.bus_offset else ["--cluster-port", str(bus)]),
                "--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout),
                "--repl-diskless-sync-delay", "0",
                # A replica counts when it has got something, if it is only a PING.
                "--repl-ping-replica-period", "1",
                *login, *options,
            ]  # fmt: skip
            node = RedisServer(directory / f"node{number}", *settings, db=0, port=port)
            self.nodes.append(node)
            self.buses[port] = bus
        self.primaries, self.replicas = self.nodes[:nodes], self.nodes[nodes:]
        self.ids = {node.port: _id(number) for number, node in enumerate(self.nodes)}
        share = -(-SLOTS // nodes)
        for number, node in enumerate(self.nodes):
            (node.directory / "nodes.conf").write_text(self._map(number, nodes, share))

    def _map(self, own: int, primaries: int, share: int) -> str:
        """The nodes.conf of the node with the number `own`."""
        lines = []
        for number, node in enumerate(self.nodes):
            address = f"127.0.0.1:{node.port}@{self.buses[node.port]}"
            first = number * share
            role, primary, slots = "master", "-", f" {first}-{min(SLOTS, first + share) - 1}"
            if number >= primaries:
                role, primary, slots = "slave", _id(number % primaries), ""
            flags = f"myself,{role}" if number == own else role
            epoch = number % primaries + 1
            state = f"{flags} {primary} 0 0 {epoch} connected{slots}"
            lines.append(f"{_id(number)} {address} {state}\n")
        return "".join(lines) + f"vars currentEpoch {primaries} lastVoteEpoch 0\n"

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def start(self):
        for node in self.nodes:
            node.start()
        self.wait_whole(30)
        return self

    def stop(self):
        for node in self.nodes:
            node.stop()

    def wait_whole(self, seconds: float = 20):
        """Waits until all nodes know all others, replicas follow and all slots are served."""
        for node in self.nodes:
            wait_for(lambda node=node: self._is_whole(node), "the cluster", seconds, 0.05)

    def _is_whole(self, node) -> bool:
        with self.connect(node) as client:
            info = client.execute_command("CLUSTER INFO")
            servers = {server[1] for part in _slots(client) for server in part[2:]}
            replication = client.info("replication")
        follows = replication["role"] == "master" or replication["master_link_status"] == "up"
        return info["cluster_state"] == "ok" and len(servers) == len(self.nodes) and follows

    def connect(self, node, **arguments) -> redis.Redis:
        return node.client(password=self.password, **arguments)

    def client(self) -> redis.RedisCluster:
        return redis.RedisCluster.from_url(self.url, password=self.password)

    # Who serves what, as `asked` sees it.

    def alive(self) -> RedisServer:
        return next(node for node in self.nodes if node.answers())

    def node(self, port: int) -> RedisServer:
        return next(node for node in self.nodes if node.port == port)

    def owner(self, slot: int, asked=None) -> RedisServer:
        """The primary of a slot."""
        with self.connect(asked or self.alive()) as client:
            ports = [part[2][1] for part in _slots(client) if part[0] <= slot <= part[1]]
        assert ports, f"no node serves slot {slot}"
        return self.node(ports[0])

    def owner_of(self, key, asked=None) -> RedisServer:
        return self.owner(key_slot(_bytes(key)), asked)

    def replica_of(self, primary, asked=None) -> RedisServer:
        with self.connect(asked or self.alive()) as client:
            ports = [part[3][1] for part in _slots(client) if part[2][1] == primary.port]
        return self.node(ports[0])

    def ports(self, asked=None) -> set[int]:
        """The primaries that serve slots."""
        with self.connect(asked or self.alive()) as client:
            return {part[2][1] for part in _slots(client)}

    # What operators do.

    def set(self, key, value, **arguments):
        """Sets a key where it lives now."""
        with self.connect(self.owner_of(key)) as client:
            client.set(key, value, **arguments)

    def keys(self, pattern: str) -> list[bytes]:
        """The keys of all primaries."""
        found = set()
        for port in self.ports():
            with self.connect(self.node(port)) as client:
                found.update(client.keys(pattern))
        return sorted(found)

    def get(self, key) -> bytes | None:
        with self.connect(self.owner_of(key)) as client:
            return client.get(key)

    def fail_over(self, replica, how: str = ""):
        """CLUSTER FAILOVER, until all that live know the new primary."""
        for _ in range(5):
            with self.connect(replica) as client:
                client.execute_command(f"CLUSTER FAILOVER {how}".strip())
            try:
                return self.wait_primary(replica, 6)
            except AssertionError:
                # Soon after another one it is taken back: the votes counted are those of then.
                continue
        raise AssertionError("no failover after five attempts")

    def wait_primary(self, replica, seconds: float = 20):
        """Waits until all that live know `replica` as the primary of slots."""
        for node in self.nodes:
            if node.answers():
                wait_for(lambda node=node: replica.port in self.ports(node), "a failover", seconds)

    def wait_handed_on(self):
        """Waits until all replicas have what their primaries have confirmed so far."""
        for port in self.ports():
            primary = self.node(port)
            with self.connect(primary) as one, self.connect(self.replica_of(primary)) as two:
                wait_handed_on(one, two)

    def add_user(self, name: str, *rules: str):
        for node in self.nodes:
            with self.connect(node) as client:
                client.execute_command("ACL", "SETUSER", name, "on", *rules)

    def adopt(self, node):
        """A node that has been introduced by CLUSTER MEET, when all know it."""
        self.nodes.append(node)
        with self.connect(node) as client:
            self.ids[node.port] = client.execute_command("CLUSTER MYID").decode()
        for one in self.nodes:
            wait_for(lambda one=one: self._knows_all(one), "the node to be known", 20, 0.05)

    def _knows_all(self, node) -> bool:
        with self.connect(node) as client:
            info = client.execute_command("CLUSTER INFO")
        known = int(info["cluster_known_nodes"]) == len(self.nodes)
        return known and info["cluster_state"] == "ok"

    def id(self, node) -> str:
        return self.ids[node.port]

    def move(self, slots, target):
        """Reshards slots to the primary `target`, one after the other."""
        for slot in slots:
            move = Move(self, slot, target)
            if move.source is not target:
                move.begin()
                move.keys()
                move.finish()


class Move:
    """One slot on its way to another primary, step by step: between `begin` and `finish` the source
    answers ASK for the keys that it no longer has."""

    def __init__(self, cluster: Cluster, slot: int, target):
        self.cluster, self.slot, self.target = cluster, slot, target
        self.source = cluster.owner(slot)

    def _say(self, node, what: str):
        with self.cluster.connect(node) as client:
            return client.execute_command(f"CLUSTER SETSLOT {self.slot} {what}")

    def begin(self):
        self._say(self.target, f"IMPORTING {self.cluster.id(self.source)}")
        self._say(self.source, f"MIGRATING {self.cluster.id(self.target)}")

    def keys(self, keys=None):
        """Moves the slot's keys, or those named."""
        self._carry(self.source, self.target, keys)

    def put(self, key, value, **arguments):
        """Sets a key on the target, as a client does that was sent there by ASK."""
        with self.cluster.connect(self.target, single_connection_client=True) as client:
            client.execute_command("ASKING")
            client.set(key, value, **arguments)

    def here(self, node, key) -> bytes | None:
        """What lies under a key on the source or the target."""
        with self.cluster.connect(node, single_connection_client=True) as client:
            client.execute_command("ASKING")
            return client.get(key)

    def finish(self):
        """The target first, so that no node points at one that does not know."""
        target = f"NODE {self.cluster.id(self.target)}"
        self._say(self.target, target)
        self._say(self.source, target)

    def abort(self):
        """The slot stays where it was; keys that have moved go back."""
        self._say(self.source, "STABLE")
        self._carry(self.target, self.source)
        self._say(self.target, "STABLE")

    def _carry(self, source, target, keys=None):
        password = self.cluster.password
        to = ["127.0.0.1", target.port, "", 0, 5000, "REPLACE"]
        to += ["AUTH", password] if password else []
        with self.cluster.connect(source) as client:
            while some := keys or client.execute_command("CLUSTER GETKEYSINSLOT", self.slot, 100):
                client.execute_command("MIGRATE", *to, "KEYS", *some)
                if keys:
                    return


def _id(number: int) -> str:
    return f"{number + 1:040x}"


def _bytes(key) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _slots(client) -> list:
    return client.execute_command("CLUSTER SLOTS", NEVER_DECODE=True)

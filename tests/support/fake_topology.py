"""A Sentinel and a Cluster node that say whatever a test wants of who serves what."""

import socket

from .fake_redis import FakeRedis, bulk


def array(*items: bytes) -> bytes:
    return b"*%d\r\n" % len(items) + b"".join(items)


def text(value) -> bytes:
    return bulk(value if isinstance(value, bytes) else str(value).encode())


class FakeSentinel(FakeRedis):
    """Names `primary`, a pair of host and port, or answers with those bytes; None is unknown. What
    it knows is of `epoch`.
    `tell` publishes +switch-master to who subscribed."""

    def __init__(self, primary=None, port: int | None = None):
        super().__init__(port)
        self.primary = primary
        self.epoch = 1
        self.replicas: list[tuple[str, int]] = []
        self.subscribers: set[socket.socket] = set()
        self.pushes: set[socket.socket] = set()
        self.on_command = self._answer

    def questions(self) -> int:
        return sum(words[0].upper() == b"SENTINEL" for words in self.commands)

    def _answer(self, conn, words) -> bool:
        name = words[0].upper()
        if name == b"HELLO" and words[1:2] == [b"3"]:
            self.pushes.add(conn)
        if name in (b"SUBSCRIBE", b"PSUBSCRIBE"):
            self.subscribers.add(conn)
            for number, channel in enumerate(words[1:]):
                items = array(text(name.lower()), text(channel), b":%d\r\n" % (number + 1))
                conn.sendall(self._message(conn, items))
            return True
        if name != b"SENTINEL":
            return False
        conn.sendall(self._state(conn, words[1].lower()))
        return True

    def _state(self, conn, what: bytes) -> bytes:
        if what in (b"replicas", b"slaves"):
            link = {"master-link-status": "ok"}
            return array(*(self._server(conn, "slave", *one, link) for one in self.replicas))
        if what not in (b"master", b"get-master-addr-by-name"):
            return array()
        if isinstance(self.primary, bytes):
            return self.primary
        if what == b"master":
            unknown = b"-ERR No such master with that name\r\n"
            return self._server(conn, "master", *self.primary) if self.primary else unknown
        return array(*map(text, self.primary)) if self.primary else b"*-1\r\n"

    def _server(self, conn, role, host, port, more=None) -> bytes:
        """A server with its fields: a map for who speaks RESP3, else a list."""
        fields = {"name": "main", "ip": host, "port": port, "runid": "f" * 40, "flags": role,
                  "link-pending-commands": 0, "role-reported": role, "config-epoch": self.epoch,
                  **(more or {})}  # fmt: skip
        words = b"".join(text(word) for pair in fields.items() for word in pair)
        if conn in self.pushes:
            return b"%%%d\r\n" % len(fields) + words
        return b"*%d\r\n" % (2 * len(fields)) + words

    def _message(self, conn, items: bytes) -> bytes:
        return (b">" if conn in self.pushes else b"*") + items[1:]

    def tell(self, name: str, old, new):
        said = f"{name} {old[0]} {old[1]} {new[0]} {new[1]}"
        for conn in list(self.subscribers):
            items = array(text("message"), text("+switch-master"), text(said))
            conn.sendall(self._message(conn, items))


class FakeNode(FakeRedis):
    """A Cluster node; by default it says that it serves all slots. `map` is a list of (first, last,
    [(host, port), ...]), primary first, or the bytes of the reply to CLUSTER SLOTS."""

    def __init__(self, port: int | None = None):
        super().__init__(port)
        self.map = [(0, 16383, [("127.0.0.1", self.port)])]
        self.on_command = self._answer

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def asks(self) -> int:
        """How often the map was asked for."""
        return sum(words[0].upper() == b"CLUSTER" for words in self.commands)

    def _answer(self, conn, words) -> bool:
        if words[0].upper() != b"CLUSTER":
            return False
        conn.sendall(self.map if isinstance(self.map, bytes) else slots_reply(self.map))
        return True


def slots_reply(parts) -> bytes:
    rows = []
    for first, last, nodes in parts:
        servers = [
            array(text(host), b":%d\r\n" % port, text(f"{port:040x}"), array())
            for host, port in nodes
        ]
        rows.append(array(b":%d\r\n" % first, b":%d\r\n" % last, *servers))
    return array(*rows)

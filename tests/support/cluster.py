"""A real Redis Cluster of three nodes on loopback, without replicas."""

from pathlib import Path

import redis

from .ports import free_port, wait_for
from .redis_server import RedisServer

SLOTS = 16384


class Cluster:
    def __init__(self, directory: Path, nodes: int = 3):
        self.nodes = []
        for number in range(nodes):
            options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
            self.nodes.append(RedisServer(directory / f"node{number}", *options, db=0))

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def start(self):
        for node in self.nodes:
            node.start()
        share = -(-SLOTS // len(self.nodes))
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                last = min(SLOTS, (number + 1) * share) - 1
                client.execute_command("CLUSTER ADDSLOTSRANGE", number * share, last)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                bus = first.arguments[-1]
                client.execute_command("CLUSTER MEET", "127.0.0.1", first.port, bus)
        for node in self.nodes:
            wait_for(lambda node=node: self._is_whole(node), "the cluster", 30)
        return self

    def _is_whole(self, node) -> bool:
        with node.client() as client:
            info = client.execute_command("CLUSTER INFO")
            slots = client.execute_command("CLUSTER SLOTS")
        return info["cluster_state"] == "ok" and len(slots) == len(self.nodes)

    def client(self) -> redis.RedisCluster:
        return redis.RedisCluster.from_url(self.url)

    def stop(self):
        for node in self.nodes:
            node.stop()

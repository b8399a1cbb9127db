"""Reads go to replicas that are as good as the primary; stores and invalidations to the primary."""

import time

import pytest
from support.ports import wait_for
from support.proxy import Proxy
from support.sentinel import Watched
from support.stored import key_of
from support.upstream import BREAKER, QUICK, asked, put, start, stored

pytestmark = [pytest.mark.usefixtures("cacheable"), pytest.mark.doors("in_place")]
# The state of replicas is looked at once a second; a busy machine may take its time.
SEEN = 4


@pytest.fixture
def proxy():
    """Between the second replica and its primary: `held`, it lags; closed, its link is down."""
    proxies = []

    def make(port):
        proxies.append(Proxy(port))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.held = False
        proxy.stop()


@pytest.fixture
def servers(tmp_path):
    """A primary and two replicas. Pages can be laid on a replica alone, so that they tell who was
    asked."""
    watched = Watched(tmp_path / "servers", sentinels=0)
    try:
        watched.start()
        for server in watched.servers[1:]:
            with server.client() as client:
                client.config_set("replica-read-only", "no")
        yield watched.servers
    finally:
        watched.stop()


def block(servers, read, urls=None):
    urls = urls or [server.url for server in servers]
    replicas = "".join(f"server {url} replica;" for url in urls[1:])
    return f"server {urls[0]}; {replicas} read {read}; {BREAKER}"


def ports(nginx, count=40):
    """The servers that a number of keys are asked of."""
    with nginx.client() as client:
        return {asked(client.get(f"/{n}")) for n in range(count)}


def follow(server, primary):
    with server.client() as client:
        client.replicaof("127.0.0.1", primary)


def wait_link(server, state):
    def state_is():
        with server.client() as client:
            return client.info("replication")["master_link_status"] == state

    wait_for(state_is, f"the link of the replica to be {state}", 15)


@pytest.mark.parametrize("read", ["primary", "replica"])
def test_who_is_asked(store, servers, read):
    nginx = start(store, block(servers, read))
    wanted = {servers[0].port} if read == "primary" else {server.port for server in servers[1:]}
    wait_for(lambda: ports(nginx) == wanted, f"reads from {wanted}", SEEN)
    for n in range(20):
        put(servers, nginx, f"/{n}")
        response = nginx.get(f"/{n}")
        assert response.body == f"{asked(response)} /{n}".encode()
        assert asked(response) in wanted


@pytest.mark.parametrize("read", ["replica", "nearest"])
def test_stores_and_invalidations_go_to_the_primary(store, servers, read):
    nginx = start(store, block(servers, read))
    wait_for(lambda: len(ports(nginx)) >= (2 if read == "replica" else 1), "reads", SEEN)
    nginx.get("/new")
    for server in servers:
        with server.client() as client:
            wait_for(lambda c=client: c.get(key_of(nginx, "/new")), "the page everywhere", 3)
    assert nginx.get("/new").cache == ("hit", "fresh")
    nginx.request("POST", "/new", body=b"x")
    with servers[0].client() as client:
        assert b"gone=" in client.get(key_of(nginx, "/new"))
    time.sleep(0.3)
    assert nginx.get("/new").body == b"app /new"
    assert not [line for line in nginx.warnings() if "readonly" in line or "dropped" in line]


@pytest.mark.parametrize("near", [0, 2])
def test_the_nearest_server_is_asked(store, servers, proxy, near):
    proxies = [proxy(server.port) for server in servers]
    nginx = start(store, block(servers, "nearest", [one.url for one in proxies]), QUICK)
    for n, one in enumerate(proxies):
        one.delay = 0 if n == near else 0.06
    wait_for(lambda: ports(nginx, 10) == {proxies[near].port}, "the nearest alone", 15)
    other = (near + 1) % 3
    proxies[near].delay, proxies[other].delay = 0.06, 0
    wait_for(lambda: ports(nginx, 10) == {proxies[other].port}, "the one that is nearest now", 15)


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_replica_that_is_out(store, servers, fault):
    nginx = start(store, block(servers, "replica"), QUICK)
    targets = [f"/{n}" for n in range(20)]
    for target in targets:
        put(servers, nginx, target)
    getattr(servers[2], fault)()
    left = [servers[0].port, servers[1].port]

    def hits_of_others():
        responses = [nginx.get(target) for target in targets]
        for target, response in zip(targets, responses, strict=True):
            good = [f"{port} {target}".encode() for port in (*left, servers[2].port)]
            assert response.body in [*good, b"app " + target.encode()]
        return all(asked(response) in left for response in responses) and all(
            not response.body.startswith(b"app") for response in responses
        )

    wait_for(hits_of_others, "hits of the others", SEEN)
    if fault == "kill":
        servers[2].start()
    else:
        servers[2].resume()
    wait_for(lambda: servers[2].port in ports(nginx), "the replica to be asked again", 15)


def test_no_replica_is_usable(store, servers):
    nginx = start(store, block(servers, "replica"), QUICK)
    put(servers, nginx, "/p")
    for server in servers[1:]:
        server.kill()
    wanted = f"{servers[0].port} /p".encode()
    wait_for(lambda: nginx.get("/p").body == wanted, "the page of the primary", SEEN)
    assert all(nginx.get("/p").body == wanted for _ in range(30))


def test_none_of_them_is_there_when_nginx_starts(store, servers):
    for server in servers[1:]:
        server.kill()
    nginx = start(store, block(servers, "replica"), QUICK)
    put(servers[:1], nginx, "/p")
    wait_for(lambda: nginx.get("/p").body == f"{servers[0].port} /p".encode(), "the page", SEEN)
    servers[1].start()
    wait_for(lambda: ports(nginx) == {servers[1].port}, "the replica to be asked", 15)


def test_a_replica_whose_link_is_down(store, servers, proxy):
    line = proxy(servers[0].port)
    follow(servers[2], line.port)
    wait_link(servers[2], "up")
    nginx = start(store, block([servers[0], servers[2]], "replica"), QUICK)
    wait_for(lambda: ports(nginx) == {servers[2].port}, "reads from the replica", SEEN)
    nginx.get("/p")
    line.stop()
    wait_link(servers[2], "down")
    wait_for(lambda: ports(nginx) == {servers[0].port}, "reads from the primary", SEEN)
    servers[0].set(key_of(nginx, "/p"), stored("newer"))
    for _ in range(30):
        assert nginx.get("/p").body == b"newer"
        time.sleep(0.05)
    follow(servers[2], servers[0].port)
    wait_for(lambda: ports(nginx) == {servers[2].port}, "reads from the replica", 15)


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_when_the_primary_is_lost_its_replicas_tell_nothing_new(store, servers, fault):
    """An invalidation would reach nobody, so what the replicas still hold is not sent."""
    nginx = start(store, block(servers, "replica"), QUICK)
    for server in servers[1:]:
        with server.client() as client:
            client.config_set("repl-timeout", 1)
    put(servers, nginx, "/p")
    getattr(servers[0], fault)()
    wait_link(servers[1], "down")
    wait_link(servers[2], "down")
    wait_for(lambda: nginx.get("/p").body == b"app /p", "the application's page", SEEN)
    time.sleep(1)
    assert all(nginx.get("/p").body == b"app /p" for _ in range(20))
    servers[0].start() if fault == "kill" else servers[0].resume()
    put(servers[:1], nginx, "/q")
    wait_for(lambda: nginx.get("/q").cache[0] == "hit", "a hit", 15)


def test_a_replica_without_stale_data(store, servers):
    for server in servers[1:]:
        with server.client() as client:
            client.config_set("replica-serve-stale-data", "no")
    nginx = start(store, block(servers, "replica"), QUICK)
    put(servers, nginx, "/p")
    follow(servers[1], 1)
    follow(servers[2], 1)
    wanted = f"{servers[0].port} /p".encode()
    wait_for(lambda: nginx.get("/p").body == wanted, "the page of the primary", SEEN)
    assert all(nginx.get("/p").body == wanted for _ in range(20))


def test_a_replica_that_lags(store, servers, proxy):
    line = proxy(servers[0].port)
    follow(servers[2], line.port)
    wait_link(servers[2], "up")
    nginx = start(store, block([servers[0], servers[2]], "replica"), QUICK)
    wait_for(lambda: ports(nginx) == {servers[2].port}, "reads from the replica", SEEN)
    servers[0].set(key_of(nginx, "/p"), stored("old"))
    wait_for(lambda: nginx.get("/p").body == b"old", "the page", 3)
    line.held = True
    servers[0].set(key_of(nginx, "/p"), stored("new"))
    wait_for(lambda: nginx.get("/p").body == b"new", "the new page", SEEN)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert nginx.get("/p").body == b"new"
        time.sleep(0.02)
    line.held = False
    wait_for(lambda: ports(nginx) == {servers[2].port}, "reads from the replica again", 15)
    assert nginx.get("/p").body == b"new"

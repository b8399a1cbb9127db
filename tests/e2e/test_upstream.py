"""redis_cache_upstream with several servers: every key belongs to one of them, a backup stands in
for one that is out, and invalidations reach both."""

import re
import time

import pytest
from support.fake_redis import bulk
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for
from support.redis_server import RedisServer
from support.stored import key_of, page
from support.upstream import BREAKER, QUICK, SHOW, asked, put, start, stored, upstream

pytestmark = pytest.mark.usefixtures("cacheable")
HOST = "www.example.com"


@pytest.fixture
def servers(tmp_path):
    servers = [RedisServer(tmp_path / f"server{n}").start() for n in range(3)]
    yield servers
    for server in servers:
        server.stop()


def lines(servers, *parameters):
    """`server` directives; a parameter for each server."""
    parameters = [*parameters, *[""] * (len(servers) - len(parameters))]
    pairs = zip(servers, parameters, strict=True)
    return "".join(f"server {server.url} {parameter};" for server, parameter in pairs)


def owners(nginx, targets):
    """Which server each target is asked of."""
    with nginx.client(host=HOST) as client:
        return {target: asked(client.get(target)) for target in targets}


def connections(server):
    with server.client() as client:
        return [one for one in client.client_list() if one["name"] == "nginx-redis-cache"]


def test_a_page_of_one_server(store, servers):
    nginx = start(store, lines(servers[:1]))
    put(servers[:1], nginx, "/p")
    response = nginx.get("/p")
    assert response.body == f"{servers[0].port} /p".encode()
    assert response.header("X-Server") == servers[0].name
    assert f" v={servers[0].name} " in nginx.logged(1)[0]


def test_every_key_is_asked_of_its_own_server(store, servers):
    nginx = start(store, lines(servers))
    found = set()
    for n in range(60):
        put(servers, nginx, f"/{n}")
        for _ in range(2):
            response = nginx.get(f"/{n}")
            assert response.body == f"{asked(response)} /{n}".encode()
        found.add(asked(response))
    assert found == {server.port for server in servers}


def test_a_page_is_stored_where_it_is_looked_up(store, servers, origin):
    nginx = start(store, lines(servers))
    with nginx.client() as client:
        for n in range(40):
            port = asked(client.get(f"/{n}"))
            response = client.get(f"/{n}")
            assert response.cache == ("hit", "fresh") and asked(response) == port
    assert len(origin.requests) == 40
    key = re.compile(r"/(\d+)$")
    for server in servers:
        with server.client() as client:
            kept = {key.search(name.decode())[1] for name in client.keys("page:*")}
        with nginx.client() as client:
            assert kept == {str(n) for n in range(40) if asked(client.get(f"/{n}")) == server.port}


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (10, 10, 30)])
def test_keys_are_spread_by_weight(serve, servers, weights):
    nginx = start(serve, lines(servers, *(f"weight={weight}" for weight in weights)))
    found = list(owners(nginx, [f"/{n}" for n in range(900)]).values())
    for server, weight in zip(servers, weights, strict=True):
        share = weight / sum(weights)
        # Four standard deviations: a test that fails once in ten thousand runs.
        slack = 4 * (share * (1 - share) / 900) ** 0.5
        count = found.count(server.port)
        assert abs(count / 900 - share) < slack, (share, count)


def test_the_same_on_every_box_in_whatever_order(serve, servers):
    targets = [f"/{n}?x={n}" for n in range(200)]
    weights = ["weight=1", "weight=2", "weight=3"]
    one = start(serve, lines(servers, *weights))
    two = start(serve, lines(servers[::-1], *weights[::-1]))
    assert owners(one, targets) == owners(two, targets)


def test_a_server_more_takes_its_share_and_moves_nothing_else(serve, servers):
    targets = [f"/{n}" for n in range(200)]
    before = owners(start(serve, lines(servers[:2])), targets)
    after = owners(start(serve, lines(servers)), targets)
    moved = {after[target] for target in targets if after[target] != before[target]}
    assert moved == {servers[2].port}


def test_a_variant_lies_beside_its_marker_or_not_and_is_found(store, servers, origin):
    headers = [*FRESH, ("Vary", "X-Kind")]
    origin.answer = lambda asked: Answer(
        f"{asked.target} {asked.header('X-Kind')}".encode(), headers=headers
    )
    nginx = start(store, lines(servers))
    for _ in range(2):
        for n in range(20):
            for kind in "ab":
                response = nginx.get(f"/{n}", {"X-Kind": kind})
                assert response.body == f"/{n} {kind}".encode()
                time.sleep(0.01)
    with nginx.client() as client:
        for n in range(20):
            for kind in "ab":
                assert client.get(f"/{n}", {"X-Kind": kind}).cache == ("hit", "fresh")


def test_several_locations_share_an_upstream(start_nginx, servers, origin):
    proxy = f"proxy_pass {origin.url}; proxy_set_header Host $http_host;"
    places = "".join(
        f"location /{name} {{ redis_cache pages; redis_cache_store on; {proxy} }}" for name in "abc"
    )
    block = f"{lines(servers[:1])} connections 1;"
    nginx = start_nginx(http=upstream(block), server=f"{SHOW} {places}")
    for name in "abc":
        put(servers[:1], nginx, f"/{name}")
        assert nginx.get(f"/{name}").body == f"{servers[0].port} /{name}".encode()
    assert len(connections(servers[0])) == 1


@pytest.mark.parametrize("block,http,count", [
    ("connections 1;", "", 1),
    ("connections 3;", "redis_cache_connections 5;", 3),
    ("", "redis_cache_connections 5;", 5),
    ("", "", 2),
])  # fmt: skip
def test_what_the_block_does_not_set_comes_from_the_location(serve, servers, block, http, count):
    nginx = start(serve, f"{lines(servers[:2])} {block}", http=http)
    owners(nginx, [f"/{n}" for n in range(100)])
    for server in servers[:2]:
        assert len(connections(server)) == count


@pytest.mark.parametrize(
    "location,least,most", [("", 0.25, 0.9), ("redis_cache_timeout 1200ms;", 1.1, 2)]
)
def test_the_time_of_the_block_and_of_the_location(
    start_nginx, fake_redis, origin, location, least, most
):
    fake_redis.on_get = lambda conn, key: None
    block = f"server {fake_redis.url}; timeout 300ms; breaker off;"
    nginx = start_nginx(
        http=upstream(block),
        server=f"location / {{ redis_cache pages; {location} proxy_pass {origin.url}; }}",
    )
    began = time.monotonic()
    assert nginx.get("/p").body == b"app /p"
    assert least < time.monotonic() - began < most


def test_inherited_from_the_server_and_left_out(start_nginx, servers, origin):
    proxy = f"proxy_pass {origin.url}; proxy_set_header Host $http_host;"
    nginx = start_nginx(
        http=f"{upstream(lines(servers[:1]))} {upstream(lines(servers[1:2]), 'others')}",
        server=f"""
            {SHOW} redis_cache pages;
            location / {{ {proxy} }}
            location /nested/ {{ location /nested/deep/ {{ {proxy} }} {proxy} }}
            location /off/ {{ redis_cache off; {proxy} }}
            location /other/ {{ redis_cache others; {proxy} }}
        """,
    )
    first, second = servers[0].port, servers[1].port
    expected = {"/p": first, "/nested/p": first, "/nested/deep/p": first, "/off/p": None,
                "/other/p": second}  # fmt: skip
    for target, port in expected.items():
        put(servers[:2], nginx, target)
        response = nginx.get(target)
        assert asked(response) == port
        assert response.body == (f"{port} {target}" if port else f"app {target}").encode()


def test_a_user_of_the_block(store, servers, tmp_path):
    for server in servers[:2]:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "nginx", "on", ">se cret", "~page:*", "+@all")
            client.execute_command("ACL", "SETUSER", "default", "off")
    (tmp_path / "password").write_text("se cret\n")
    block = f"{lines(servers[:2])} username nginx; password_file {tmp_path}/password;"
    nginx = start(store, block)
    with nginx.client() as client:
        for n in range(10):
            client.get(f"/{n}")
            assert client.get(f"/{n}").cache == ("hit", "fresh")
    assert "se cret" not in nginx.error_log()


def test_a_wrong_password_is_told_and_not_shown(store, servers, tmp_path):
    (tmp_path / "password").write_text("se-cret")
    block = f"{lines(servers[:1])} username nginx; password_file {tmp_path}/password;"
    nginx = start(store, block)
    response = nginx.get("/p")
    assert response.body == b"app /p" and response.cache[1].partition("/")[0] == "noauth"
    assert "noauth" in nginx.error_log() and "se-cret" not in nginx.error_log()


def test_a_server_that_is_out_costs_its_own_keys_alone(serve, servers):
    nginx = start(serve, f"{lines(servers)} {BREAKER}", QUICK)
    targets = [f"/{n}" for n in range(40)]
    for target in targets:
        put(servers, nginx, target)
    found = {target: asked(nginx.get(target)) for target in targets}
    servers[0].kill()
    for _ in range(3):
        for target in targets:
            body = nginx.get(target).body
            lost = found[target] == servers[0].port
            assert body == (f"app {target}" if lost else f"{found[target]} {target}").encode()
    log = "\n".join(nginx.warnings())
    assert servers[0].name in log and servers[1].name not in log
    servers[0].start()
    lost = next(target for target in targets if found[target] == servers[0].port)
    put(servers[:1], nginx, lost)
    wait_for(lambda: nginx.get(lost).body == f"{servers[0].port} {lost}".encode(), "its hits", 3)


def test_a_late_reply_of_another_server_is_never_taken(serve, fake_redis, servers):
    """Two servers, one slow: each reply goes with its own query."""
    fake_redis.on_get = lambda conn, key: (time.sleep(0.05), conn.sendall(bulk(page(key[-3:]))))
    block = f"server {fake_redis.url}; {lines(servers[:1])} connections 1;"
    nginx = start(serve, block)
    for n in range(100, 140):
        servers[0].set(key_of(nginx, f"/{n}"), stored(str(n)))
    for n in range(100, 140):
        assert nginx.get(f"/{n}").body == str(n).encode()

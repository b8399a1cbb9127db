"""Proxies and servers that do not know HELLO are spoken to in RESP2: those that say so in words of
their own, and those that close the connection."""

import pytest
from support.fake_redis import bulk
from support.load import Load
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

STATUS = "redis_cache_status_header on; redis_cache_breaker off;"
TOLD = "does not take HELLO"


def told(nginx) -> list[str]:
    assert nginx.warnings() == []
    return [line for line in nginx.notices() if TOLD in line]


def names(fake_redis) -> list[bytes]:
    return [words[0].upper() for words in fake_redis.commands]


def test_pages_behind_twemproxy(serve, redis, start_nutcracker):
    proxy = start_nutcracker()
    nginx = serve(STATUS, target=proxy.url)
    redis.set(key_of(nginx, "/p"), page("stored"))
    for _ in range(3):
        assert nginx.get("/p").body == b"stored"
    assert nginx.get("/absent").cache == ("fwd=uri-miss", "absent")
    [line] = told(nginx)
    assert f"127.0.0.1:{proxy.port}/0 {TOLD} (it closes the connection)" in line
    assert proxy.log().count("unsupported command 'HELLO'") == 1


def test_twemproxy_under_load(serve, redis, start_nutcracker):
    nginx = serve(f"{STATUS} redis_cache_connections 4;", target=start_nutcracker().url)
    with Load(nginx, threads=4, each=50) as load:
        pass
    assert not load.wrong and len(told(nginx)) == 1


def test_storing_and_invalidating_behind_twemproxy(store, redis, origin, stored, start_nutcracker):
    """SET with PX and NX, the script that compares before it writes, and tombstones."""
    origin.answer = lambda asked: Answer(b"app %d" % len(origin.requests), headers=FRESH)
    nginx = store(target=start_nutcracker().url)
    assert nginx.get("/p").body == b"app 1"
    first = stored(nginx, within=5)
    assert first.endswith(b"app 1") and nginx.get("/p").body == b"app 1"
    assert nginx.request("POST", "/p").body == b"app 2"
    assert b"app" not in stored(nginx)
    assert nginx.get("/p").body == b"app 3"
    wait_for(lambda: stored(nginx).endswith(b"app 3"), "the page over the tombstone")
    assert nginx.get("/p").body == b"app 3"
    assert len(told(nginx)) == 1
    with redis.client() as client:
        assert client.info("commandstats")["cmdstat_eval"]["calls"] == 1


def test_a_password_of_twemproxy(serve, redis, start_nutcracker):
    proxy = start_nutcracker("redis_auth: w0rd")
    with redis.client() as client:
        client.config_set("requirepass", "w0rd")
    nginx = serve(STATUS, target=f"redis://default:w0rd@127.0.0.1:{proxy.port}")
    assert nginx.get("/p").cache == ("fwd=uri-miss", "absent")
    wrong = serve(STATUS, target=f"redis://:0ther@127.0.0.1:{proxy.port}")
    assert wrong.get("/p").cache == ("fwd=miss", "noauth")
    assert "ERR invalid password" in wrong.error_log() and "0ther" not in wrong.error_log()


def test_another_database_behind_twemproxy(serve, start_nutcracker):
    """It does not know SELECT: its database is in its own configuration."""
    proxy = start_nutcracker()
    nginx = serve(STATUS, target=f"{proxy.url}/3")
    for _ in range(2):
        assert nginx.get("/p").cache == ("fwd=miss", "closed")
    [line] = nginx.warnings()
    assert f"(127.0.0.1:{proxy.port}/3, no reply to SELECT 3)" in line


def test_a_server_that_is_gone_behind_twemproxy(serve, redis, start_nutcracker):
    proxy = start_nutcracker()
    nginx = serve(STATUS, target=proxy.url)
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"
    redis.kill()
    wait_for(lambda: nginx.get("/p").cache == ("fwd=miss", "error_reply"), "an error of the proxy")
    assert any(", ERR Connection re" in line for line in nginx.warnings())
    redis.start()
    redis.set(key_of(nginx, "/p"), page("stored anew"))
    wait_for(lambda: nginx.get("/p").body == b"stored anew", "the server to be back")


REFUSALS = {
    "Redis 5": b"-ERR unknown command `HELLO`, with args beginning with: `3`, `SETNAME`, \r\n",
    "Predixy": b"-ERR unknown command\r\n",
    "redis-cluster-proxy": b"-ERR unsupported command `hello`\r\n",
    "Envoy": b"-unsupported command 'HELLO'\r\n",
    "Envoy, of the arguments": b"-invalid request\r\n",
    "Codis": b"-ERR handle request, command 'HELLO' is not allowed\r\n",
    "no RESP3": b"-NOPROTO unsupported protocol version\r\n",
    "ACL": b"-NOPERM User default has no permissions to run the 'hello' command\r\n",
}


@pytest.mark.parametrize("maker", REFUSALS)
@pytest.mark.parametrize("db", [0, 3])
def test_a_refusal_in_any_words(serve, fake_redis, maker, db):
    """HELLO is said once; a second connection goes without."""

    def answer(conn, words):
        if words[0].upper() == b"HELLO":
            conn.sendall(REFUSALS[maker])
        return words[0].upper() == b"HELLO"

    fake_redis.on_command = answer
    fake_redis.on_get = lambda conn, key: conn.sendall(bulk(page("stored")))
    nginx = serve(STATUS, target=f"redis://127.0.0.1:{fake_redis.port}/{db}")
    assert nginx.get("/p").body == b"stored"
    fake_redis.cut()
    assert nginx.get("/p").body == b"stored"
    assert names(fake_redis).count(b"HELLO") == 1 and fake_redis.connections == 2
    assert names(fake_redis).count(b"SELECT") == (3 if db else 0)
    assert len(told(nginx)) == 1


def test_a_proxy_that_wants_its_password_first(serve, fake_redis):
    """As Envoy does: it looks at no other command before AUTH."""
    known = set()

    def answer(conn, words):
        if words[0].upper() == b"AUTH" and words[1:] == [b"w0rd"]:
            known.add(conn)
        elif conn not in known:
            conn.sendall(b"-NOAUTH Authentication required.\r\n")
            return True
        return False

    fake_redis.on_command = answer
    fake_redis.on_get = lambda conn, key: conn.sendall(bulk(page("stored")))
    nginx = serve(STATUS, target=f"redis://:w0rd@127.0.0.1:{fake_redis.port}/3")
    assert nginx.get("/p").body == b"stored"
    assert "w0rd" not in nginx.error_log()


def test_a_server_that_closes_is_not_taken_for_one_without_hello(serve, fake_redis):
    """It closes whatever it is told, and knows HELLO when it is back."""

    def close(conn, words):
        conn.shutdown(2)
        return True

    fake_redis.on_command = close
    nginx = serve(STATUS, target=f"redis://127.0.0.1:{fake_redis.port}")
    assert nginx.get("/p").cache == ("fwd=miss", "closed")
    assert names(fake_redis) == [b"HELLO", b"PING"]
    assert "no reply to PING" in nginx.error_log() and nginx.notices() == []
    fake_redis.on_command = lambda conn, words: False
    wait_for(lambda: nginx.get("/p").cache[1] == "absent", "the server to be back")
    assert names(fake_redis)[-2:] == [b"HELLO", b"GET"]


def test_a_server_that_is_full_says_so(serve, redis):
    nginx = serve(STATUS)
    with redis.client() as client:
        client.config_set("maxclients", 1)
        assert nginx.get("/p").cache == ("fwd=miss", "error_reply")
        client.config_set("maxclients", 100)
        wait_for(lambda: nginx.get("/p").cache[1] == "absent", "a place")
        connections = [c for c in client.client_list() if c["name"] == "nginx-redis-cache"]
    assert connections and all(c.get("resp", "3") == "3" for c in connections)
    [line] = nginx.warnings()
    assert "ERR max number of clients reached" in line


def test_hello_is_said_again_in_time(serve, fake_redis):
    """What closed the connection may have been another server, or another cause."""
    greeted = []

    def close_at_hello(conn, words):
        if words[0].upper() != b"HELLO":
            return False
        greeted.append(conn)
        conn.shutdown(2)
        return True

    fake_redis.on_command = close_at_hello
    fake_redis.on_get = lambda conn, key: conn.sendall(bulk(page("stored")))
    url = f"redis://127.0.0.1:{fake_redis.port}"
    nginx = serve(f"{STATUS} redis_cache_connections 1;", target=url)
    assert nginx.get("/p").body == b"stored"
    fake_redis.on_command = lambda conn, words: False

    def is_greeted():
        assert nginx.get("/p").body == b"stored"
        return names(fake_redis).count(b"HELLO") == 2

    wait_for(is_greeted, "HELLO on a new connection", 60)
    assert len(greeted) == 1 and fake_redis.connections == 3

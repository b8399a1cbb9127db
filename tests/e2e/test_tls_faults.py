"""Whatever a server with TLS does, or one without, the application answers within the time budget,
the reason is logged once, and no other request waits."""

import threading
import time

import pytest
from support.fake_redis import bulk
from support.listener import Listener, cut
from support.load import Load
from support.ports import wait_for
from support.proxy import Proxy
from support.raw import Raw, request_bytes
from support.stored import key_of, page
from test_cancel import settled
from test_reload import gone, reload

STATUS = "redis_cache_status_header on; redis_cache_breaker off;"
QUICK = "redis_cache_connect_timeout 100ms; redis_cache_timeout 200ms;"


@pytest.fixture
def listen():
    """A server that does `handle(connection)`, and does not close what it leaves open."""
    started, kept = [], []

    def listen(handle):
        def serve(connection):
            kept.append(connection)
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

        started.append(Listener(serve))
        return f"rediss://127.0.0.1:{started[-1].port}/1"

    yield listen
    for listener in started:
        listener.close()
    cut(kept)


@pytest.fixture
def proxy(tls_redis):
    proxy = Proxy(tls_redis.port, scheme="rediss")
    yield proxy
    proxy.stop()


def fill(nginx, redis):
    for n in range(10):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored /{n}"))


def says(data):
    """Reads the ClientHello, sends `data` and closes."""

    def handle(connection):
        connection.recv(65536)
        connection.sendall(data)
        connection.close()

    return handle


SERVER_HELLO = bytes.fromhex("160303007a020000760303") + bytes(80)
ENDS = {
    "at once": lambda connection: connection.close(),
    "after the hello": says(b""),
    "in the middle of a record": says(SERVER_HELLO[:40]),
    "after an alert": says(bytes.fromhex("15030300020228")),
    "after plain text": says(b"-ERR unknown command\r\n"),
    "after HTTP": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "after garbage": says(bytes(range(256)) * 100),
    "after a record of garbage": says(SERVER_HELLO + bytes(1000)),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_handshake_that_ends(serve, listen, certificates, end):
    url = listen(ENDS[end])
    nginx = serve(f"{STATUS} {certificates.trusted}", target=url)
    before = settled(nginx)
    for _ in range(20):
        response = nginx.get("/p")
        assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "tls"))
        time.sleep(0.01)
    assert settled(nginx) <= before + 2
    assert len([line for line in nginx.warnings() if "redis_cache: tls: " in line]) == 1


def test_a_redis_without_tls(serve, redis, certificates):
    nginx = serve(f"{STATUS} {certificates.trusted} {QUICK}", target=f"rediss{redis.url[5:]}")
    for _ in range(3):
        # Redis waits for the end of what it takes for a line, unless the hello has one in it.
        assert nginx.get("/p").cache in [("fwd=miss", "tls"), ("fwd=miss", "timeout")]


def test_a_redis_with_tls_that_is_not_asked_so(serve, tls_redis):
    nginx = serve(STATUS, target=f"redis{tls_redis.url[6:]}")
    response = nginx.get("/p")
    assert response.body == b"app GET /p" and response.cache[1] in ("closed", "protocol")


@pytest.mark.parametrize("sends", [b"", SERVER_HELLO[:40]])
def test_a_server_that_never_answers(serve, listen, certificates, sends):
    """It costs those who ask it their budget, and others nothing."""

    def silent(connection):
        connection.recv(65536)
        connection.sendall(sends)

    nginx = serve(
        f"{STATUS} {QUICK} {certificates.trusted}", target=listen(silent),
        locations="location /other { return 200 other; }",
    )  # fmt: skip
    before = settled(nginx)
    slowest = 0.0
    with Raw(nginx.port) as waiting, nginx.client() as other:
        waiting.send(request_bytes("/p"))
        end = time.monotonic() + 0.08
        while time.monotonic() < end:
            began = time.monotonic()
            assert other.get("/other").body == b"other"
            slowest = max(slowest, time.monotonic() - began)
        response = waiting.response()
        assert response.body == b"app GET /p" and response.cache == ("fwd=miss", "timeout")
    assert slowest < 0.05
    for _ in range(5):
        began = time.monotonic()
        assert nginx.get("/p").cache == ("fwd=miss", "timeout")
        assert time.monotonic() - began < 0.5
    assert settled(nginx) <= before + 2


def test_a_worker_exits_in_the_middle_of_a_handshake(serve, listen, certificates):
    timeouts = "redis_cache_connect_timeout 1h; redis_cache_timeout 300ms;"
    nginx = serve(f"{STATUS} {timeouts} {certificates.trusted}",
                  target=listen(lambda connection: None))  # fmt: skip
    assert nginx.get("/p").cache == ("fwd=miss", "timeout")
    began = time.monotonic()
    nginx.stop()
    assert time.monotonic() - began < 3


def test_in_pieces_of_every_size(serve, tls_redis, proxy, certificates):
    proxy.cut = True
    nginx = serve(f"{STATUS} {certificates.trusted} redis_cache_connect_timeout 9s; "
                  "redis_cache_timeout 9s;", target=proxy.url)  # fmt: skip
    body = bytes(range(256)) * 400
    tls_redis.set(key_of(nginx, "/p"), page(body))
    for _ in range(5):
        assert nginx.get("/p").body == body
        proxy.break_all()
    assert not nginx.warnings()


def test_changed_on_the_way(serve, tls_redis, proxy, certificates):
    """What does not decrypt is no page, and ends the connection alone."""
    nginx = serve(f"{STATUS} {certificates.trusted}", target=proxy.url)
    fill(nginx, tls_redis)
    assert nginx.get("/1").body == b"stored /1"
    proxy.garbage = True
    for _ in range(5):
        response = nginx.get("/1")
        assert response.body == b"app GET /1" and response.cache[1] in ("closed", "tls")
    proxy.garbage = False
    wait_for(lambda: nginx.get("/1").body == b"stored /1", "hits", 3)


def test_killed_and_restarted_under_load(serve, tls_redis, certificates):
    breaker = "redis_cache_breaker fails=5 timeout=100ms;"
    nginx = serve(f"{certificates.trusted} {breaker}", target=tls_redis.url)
    fill(nginx, tls_redis)
    with Load(nginx, threads=4) as load:
        for _ in range(3):
            known = load.stored
            wait_for(lambda known=known: load.stored > known + 200, "hits")
            tls_redis.kill()
            known = load.application
            wait_for(lambda known=known: load.application > known + 200, "the application")
            tls_redis.start()
            fill(nginx, tls_redis)
        known = load.stored
        wait_for(lambda: load.stored > known + 200, "hits")
    assert not load.wrong and load.slowest < 3


def test_connections_are_cut_under_load(serve, tls_redis, proxy, certificates):
    nginx = serve(f"{STATUS} {certificates.trusted}", target=proxy.url)
    fill(nginx, tls_redis)
    with Load(nginx, threads=4) as load:
        for _ in range(30):
            known = load.done
            wait_for(lambda known=known: load.done > known + 30, "requests")
            proxy.break_all()
    assert not load.wrong and load.stored > 500


def test_reloads_under_load(serve, tls_redis, certificates):
    nginx = serve(f"{certificates.trusted} redis_cache_timeout 2s;", target=tls_redis.url)
    fill(nginx, tls_redis)
    old = set()
    with Load(nginx, threads=4, keepalive=False) as load:
        for _ in range(10):
            old |= reload(nginx)
            known = load.done
            wait_for(lambda known=known: load.done > known + 20, "requests")
    assert not load.wrong and load.application == 0 and load.stored > 200
    gone(nginx, old)


def test_clients_that_leave(serve, fake_tls_redis, certificates):
    def slow(conn, key):
        time.sleep(0.01)
        conn.sendall(bulk(page(b"page of " + key.rsplit(b"/", 1)[1])))

    server = fake_tls_redis()
    server.on_get = slow
    nginx = serve(f"{STATUS} {certificates.trusted} redis_cache_timeout 5s;", target=server.url)
    assert nginx.get("/first").body == b"page of first"
    before, worker = settled(nginx), nginx.workers()
    for n in range(100):
        with Raw(nginx.port) as client:
            client.send(request_bytes(f"/{n}"))
            if n % 10 == 0:
                server.cut()
    wait_for(lambda: nginx.get("/after").body == b"page of after", "hits", 3)
    for n in range(10):
        assert nginx.get(f"/after{n}").body == f"page of after{n}".encode()
    assert settled(nginx) <= before + 2 and nginx.workers() == worker

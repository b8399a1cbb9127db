"""Redis over TLS: whole pages of every size, both versions of TLS, names and certificates on
both sides, and sessions that are taken up again."""

import ssl

import pytest
from support.fake_redis import FakeRedis, bulk
from support.ports import wait_for
from support.redis_server import RedisServer
from support.stored import key_of, page

SIZES = [1, 1000, 16_384, 16_385, 100_000, 5_000_000]
STATUS = "redis_cache_status_header on; redis_cache_breaker off;"


@pytest.fixture
def io():
    """TLS is the event engine's alone."""
    return "event"


@pytest.fixture
def start_redis(tmp_path, certificates):
    """Starts a Redis with TLS; `pair` is its certificate."""
    started = []

    def start(*arguments, pair=None, **more):
        directory = tmp_path / f"tls{len(started)}"
        authority = certificates.authority.certificate
        pair = pair or certificates.good
        server = RedisServer(directory, *arguments, tls=pair, authority=authority, **more)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def secure(start_redis):
    return start_redis()


@pytest.fixture
def fake(certificates):
    """Starts a fake Redis with TLS; `setup` may change its context."""
    started = []

    def start(pair=None, setup=lambda context: None):
        pair = pair or certificates.good
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        setup(context)
        server = FakeRedis(context=context)
        server.on_get = lambda conn, key: conn.sendall(bulk(page("stored")))
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def test_hits_and_misses(serve, secure, certificates):
    nginx = serve(f"{STATUS} {certificates.trusted}", target=secure.url)
    secure.set(key_of(nginx, "/p"), page("stored"))
    for _ in range(3):
        assert nginx.get("/p").body == b"stored"
        assert nginx.get("/q").cache == ("fwd=uri-miss", "absent")
    assert f" v={secure.name} " in nginx.logged(6)[0]
    assert not nginx.warnings()


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_of_every_size(serve, secure, certificates, size, version):
    nginx = serve(
        f"{STATUS} {certificates.trusted} redis_cache_ssl_protocols {version};", target=secure.url
    )
    body = bytes(n * n % 251 for n in range(size))
    secure.set(key_of(nginx, "/p"), page(body))
    for _ in range(3):
        response = nginx.get("/p")
        assert response.cache[0] == "hit" and response.body == body


@pytest.mark.parametrize("size", SIZES)
def test_answers_that_nginx_stores(store, secure, certificates, origin, size):
    from support.origin import Answer

    body = bytes(n * 7 % 253 for n in range(size))
    origin.answer = lambda asked: Answer(body, headers=[("Cache-Control", "max-age=60")])
    nginx = store(certificates.trusted, target=secure.url)
    assert nginx.get("/p").body == body
    with secure.client() as client:
        wait_for(lambda: client.exists(key_of(nginx, "/p")), "the stored page")
    response = nginx.get("/p")
    assert response.cache[0] == "hit" and response.body == body
    assert len(origin.requests) == 1

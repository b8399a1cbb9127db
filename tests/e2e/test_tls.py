"""Redis over TLS: whole pages of every size, both versions of TLS, ciphers, and sessions that are
taken up again."""

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.stored import key_of, page

SIZES = [1, 1000, 16_384, 16_385, 100_000, 5_000_000]
STATUS = "redis_cache_status_header on; redis_cache_breaker off;"


def only(version):
    def setup(context):
        context.minimum_version = context.maximum_version = version

    return setup


V12, V13 = only(ssl.TLSVersion.TLSv1_2), only(ssl.TLSVersion.TLSv1_3)


def test_hits_and_misses(serve, tls_redis, certificates):
    nginx = serve(f"{STATUS} {certificates.trusted}", target=tls_redis.url)
    tls_redis.set(key_of(nginx, "/p"), page("stored"))
    for _ in range(3):
        assert nginx.get("/p").body == b"stored"
        assert nginx.get("/q").cache == ("fwd=uri-miss", "absent")
    assert f" v={tls_redis.name} " in nginx.logged(6)[0]
    assert not nginx.warnings()


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_of_every_size(serve, tls_redis, certificates, size, version):
    nginx = serve(
        f"{STATUS} {certificates.trusted} redis_cache_ssl_protocols {version};",
        target=tls_redis.url,
    )
    body = bytes(n * n % 251 for n in range(size))
    tls_redis.set(key_of(nginx, "/p"), page(body))
    for _ in range(3):
        response = nginx.get("/p")
        assert response.cache[0] == "hit" and response.body == body


@pytest.mark.parametrize("size", SIZES)
def test_answers_that_nginx_stores(store, tls_redis, certificates, raw_origin, size):
    body = bytes(n * 7 % 253 for n in range(size))
    head = f"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {size}\r\n\r\n"
    raw_origin.answer = lambda asked: head.encode() + body
    nginx = store(certificates.trusted, target=tls_redis.url, url=raw_origin.url)
    assert nginx.get("/p").body == body
    with tls_redis.client() as client:
        wait_for(lambda: client.exists(key_of(nginx, "/p")), "the stored page")
    response = nginx.get("/p")
    assert response.cache[0] == "hit" and response.body == body
    assert len(raw_origin.requests) == 1


def test_writes_to_a_redis_that_has_stopped_reading(store, tls_redis, certificates, origin):
    """The buffer of what is to be written grows, and moves, while OpenSSL waits to go on."""
    targets = [f"/{n}" for n in range(10, 20)]
    all_asked = Barrier(len(targets), action=tls_redis.pause)

    def answer(asked):
        all_asked.wait(10)
        time.sleep(targets.index(asked.target) / 50)
        return Answer(asked.target.encode() * 400_000, headers=[("Cache-Control", "max-age=60")])

    origin.answer = answer
    timeout = "redis_cache_connections 1; redis_cache_timeout 9s;"
    nginx = store(f"{certificates.trusted} {timeout}", target=tls_redis.url)
    with ThreadPoolExecutor(len(targets)) as pool:
        for target, response in zip(targets, pool.map(nginx.get, targets)):
            assert response.body == target.encode() * 400_000
    time.sleep(0.2)
    tls_redis.resume()
    for target in targets:
        wait_for(lambda target=target: nginx.get(target).cache == ("hit", "fresh"), "a stored page")
        assert nginx.get(target).body == target.encode() * 400_000
    assert len(origin.requests) == len(targets) and not nginx.warnings()


@pytest.mark.parametrize("here, there, works", [
    ("", V12, True), ("", V13, True), ("TLSv1.2", V12, True), ("TLSv1.3", V13, True),
    ("TLSv1.2 TLSv1.3", V12, True), ("TLSv1.2", V13, False), ("TLSv1.3", V12, False),
])  # fmt: skip
def test_versions(serve, fake_tls_redis, certificates, here, there, works):
    server = fake_tls_redis(setup=there)
    protocols = f"redis_cache_ssl_protocols {here};" if here else ""
    nginx = serve(f"{STATUS} {certificates.trusted} {protocols}", target=server.url)
    expected = ("hit", "fresh") if works else ("fwd=miss", "tls")
    assert nginx.get("/p").cache == expected
    assert len(server.gets()) == works


@pytest.mark.parametrize("ciphers, works", [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", True), ("ECDHE+CHACHA20:!RSA", True),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", False),
])  # fmt: skip
def test_ciphers(serve, fake_tls_redis, certificates, ciphers, works):
    def setup(context):
        V12(context)
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305")

    server = fake_tls_redis(setup=setup)
    nginx = serve(f"{STATUS} {certificates.trusted} redis_cache_ssl_ciphers {ciphers};",
                  target=server.url)  # fmt: skip
    assert nginx.get("/p").cache == (("hit", "fresh") if works else ("fwd=miss", "tls"))


@pytest.mark.parametrize("setup", [V12, V13], ids=["1.2", "1.3"])
def test_a_new_connection_takes_up_the_session(serve, fake_tls_redis, certificates, setup):
    server = fake_tls_redis(setup=setup)
    directives = f"{STATUS} {certificates.trusted} redis_cache_connections 1;"
    nginx = serve(directives, target=server.url)
    assert nginx.get("/p").body == b"stored"
    for _ in range(4):
        server.cut()
        wait_for(lambda: not server.open, "the end of the connection")
        assert nginx.get("/p").body == b"stored"
    assert server.resumed == [False, True, True, True, True]


def test_a_session_is_not_taken_to_another_endpoint(serve, fake_tls_redis, certificates):
    server = fake_tls_redis()
    other = f"""
        location /named {{
            redis_cache_pass {server.url}2; redis_cache_fallback @app;
            redis_cache_ssl_name redis.test; {certificates.trusted}
        }}
    """
    nginx = serve(f"{STATUS} {certificates.trusted}", target=server.url, locations=other)
    assert nginx.get("/p").body == b"stored"
    assert nginx.get("/named").body == b"stored"
    assert server.resumed == [False, False]


def test_a_server_that_has_forgotten_its_sessions(serve, tls_redis, certificates):
    nginx = serve(f"{STATUS} {certificates.trusted}", target=tls_redis.url)
    for n in range(3):
        tls_redis.set(key_of(nginx, "/p"), page(f"stored {n}"))
        assert nginx.get("/p").body == b"stored %d" % n
        tls_redis.kill()
        tls_redis.start()
        # An idle connection that died is noticed by its own event.
        wait_for(lambda: nginx.get("/p").cache == ("fwd=uri-miss", "absent"), "Redis again", 3)


def test_many_connections(serve, tls_redis, certificates):
    directives = f"{STATUS} {certificates.trusted} redis_cache_connections 64;"
    nginx = serve(directives, target=tls_redis.url)
    targets = [f"/{n}" for n in range(500)]
    for target in targets:
        tls_redis.set(key_of(nginx, target), page(target))
    with nginx.client() as client:
        for target in targets:
            assert client.get(target).body == target.encode()
    with tls_redis.client() as client:
        names = [each["name"] for each in client.client_list()]
    assert names.count("nginx-redis-cache") == 64
    assert not nginx.warnings()


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_schemes(serve, tls_redis, certificates, scheme):
    url = tls_redis.url.replace("rediss", scheme)
    nginx = serve(f"{STATUS} {certificates.trusted}", target=url)
    tls_redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"


@pytest.mark.parametrize("refusal", [b"-ERR unknown command\r\n", b""])
def test_a_server_without_hello(serve, fake_tls_redis, certificates, refusal):
    """It says so, or ends the connection."""

    def refuse(conn, words):
        if words[0].upper() != b"HELLO":
            return False
        if not refusal:
            raise OSError
        conn.sendall(refusal)
        return True

    server = fake_tls_redis()
    server.on_command = refuse
    nginx = serve(f"{STATUS} {certificates.trusted}", target=server.url)
    for _ in range(3):
        assert nginx.get("/p").body == b"stored"
    assert nginx.warnings() == [] and len(nginx.notices()) == 1
    assert [words[0].upper() for words in server.commands].count(b"HELLO") == 1

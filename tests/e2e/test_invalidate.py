"""A success of an unsafe method makes the stored page of its URI unusable, and those of Location and
Content-Location on the same origin (RFC 9111 section 4.4): a tombstone takes their place before the
client has its answer, and keeps a fill that began earlier from undoing it."""

import contextlib
import re
import threading
import time

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

CACHED = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]


@pytest.fixture
def nginx(store):
    return store()


@pytest.fixture
def put(nginx, redis):
    def put(*targets):
        for target in targets:
            redis.set(key_of(nginx, target), page("old", line=fresh_line()))

    return put


def answers(origin, status=200, headers=CACHED, body=b"done"):
    origin.answer = lambda asked: Answer(body, status, headers)


def is_gone(value) -> bool:
    line = rb'HTTP/1.1 200 OK\r\nRedis-Cache: v=1, gone="[0-9a-f]{32}"\r\n\r\n'
    return re.fullmatch(line, value or b"") is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_unsafe_methods(nginx, put, origin, redis, stored, method):
    put("/p", "/q")
    answers(origin)
    response = nginx.request(method, "/p", body=b"x" * 50_000)
    assert (response.status, response.body) == (200, b"done")
    assert (response.cache, len(origin.last.body)) == (("fwd=method", "method"), 50_000)
    assert is_gone(stored(nginx)) and b"old" in stored(nginx, "/q")
    with redis.client() as client:
        assert 50_000 < client.pttl(key_of(nginx, "/p")) <= 60_000
    assert nginx.get("/p").cache == ("fwd=uri-miss", "gone")


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "GET"])
def test_safe_methods(nginx, put, origin, stored, method):
    put("/p")
    nginx.request(method, "/p")
    assert b"old" in stored(nginx)


@pytest.mark.parametrize(
    "status,gone",
    [(200, 1), (201, 1), (204, 1), (301, 1), (303, 1), (400, 0), (403, 0), (404, 0), (500, 0)],
)
def test_a_success_or_a_redirect(nginx, put, origin, stored, status, gone):
    put("/p")
    answers(origin, status, [("Location", "/elsewhere")])
    with nginx.client() as client:
        for _ in range(2):
            assert client.request("POST", "/p", body=b"x").status == status
    assert is_gone(stored(nginx)) == bool(gone)


def test_a_dead_application_invalidates_nothing(nginx, put, origin, stored):
    put("/p")
    origin.stop()
    assert nginx.request("POST", "/p", body=b"x").status == 502
    assert b"old" in stored(nginx)


@pytest.mark.parametrize("header", ["Location", "Content-Location"])
def test_pages_that_the_answer_names(nginx, put, origin, stored, header):
    own = f"http://127.0.0.1:{nginx.port}"
    for reference, target in [
        ("/list", "/list"),
        ("item?x=1#top", "/a/item?x=1"),
        ("../b/./c", "/b/c"),
        (f"{own}/abs", "/abs"),
        (own.upper().replace("HTTP", "http") + "/abs", "/abs"),
        (f"//127.0.0.1:{nginx.port}/net", "/net"),
    ]:
        put("/a/new", target)
        answers(origin, 201, [(header, reference)])
        assert nginx.request("POST", "/a/new", body=b"x").status == 201
        assert is_gone(stored(nginx, "/a/new")) and is_gone(stored(nginx, target)), reference


def test_not_pages_of_another_origin(nginx, put, redis, origin, stored):
    for reference in ["http://other/list", f"https://127.0.0.1:{nginx.port}/list", "//other/list",
                      "http://127.0.0.1/list", "not a:// reference", "http://[bad/list"]:  # fmt: skip
        put("/list")
        redis.set("page:http://other/list", page("other"))
        answers(origin, 201, [("Location", reference)])
        nginx.request("POST", "/p", body=b"x")
        assert b"old" in stored(nginx, "/list"), reference
        assert b"other" in stored(nginx, key="page:http://other/list")


def test_a_key_of_its_own_is_invalidated_alone(store, redis, origin, stored):
    nginx = store("redis_cache_key $host$uri prefix=own:;")
    redis.set("own:127.0.0.1/p", page("old"))
    redis.set("own:127.0.0.1/list", page("old"))
    answers(origin, 201, [("Location", "/list")])
    nginx.request("POST", "/p?x=1", body=b"x")
    assert is_gone(stored(nginx, key="own:127.0.0.1/p"))
    assert b"old" in stored(nginx, key="own:127.0.0.1/list")


def test_a_request_with_authorization_invalidates_too(nginx, put, origin, stored):
    put("/p")
    answers(origin)
    nginx.request("PUT", "/p", {"Authorization": "Basic eDp5"}, body=b"x")
    assert is_gone(stored(nginx))


def test_nothing_is_written_unless_it_is_stored_here(serve, redis, origin, stored):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page("old"))
    nginx.request("POST", "/p", body=b"x")
    assert b"old" in stored(nginx)


def test_a_varying_page_goes_with_all_its_variants(nginx, origin, stored):
    varies = [*CACHED, ("Vary", "Accept-Language")]
    origin.answer = lambda asked: Answer(b"%d" % len(origin.requests), headers=varies)
    for language in ["de", "en"]:
        nginx.get("/p", {"Accept-Language": language})
        time.sleep(0.05)
    assert nginx.get("/p", {"Accept-Language": "de"}).cache == ("hit", "fresh")
    nginx.request("POST", "/p", body=b"x")
    for language in ["de", "en"]:
        assert nginx.get("/p", {"Accept-Language": language}).cache[0] != "hit"


def test_a_client_reads_its_own_write(nginx, origin):
    state = {"value": 0}

    def answer(asked):
        if asked.method == "POST":
            state["value"] += 1
        return Answer(b"%d" % state["value"], headers=CACHED)

    origin.answer = answer
    with nginx.client() as client:
        for n in range(30):
            assert client.get("/p").body == b"%d" % n
            assert client.request("POST", "/p", body=b"x").body == b"%d" % (n + 1)


def test_a_fill_that_began_before_is_not_stored(nginx, origin, stored):
    """The application makes an old page while another request changes it."""
    rendering, go_on = threading.Event(), threading.Event()

    def answer(asked):
        if asked.method == "GET":
            rendering.set()
            go_on.wait(5)
            return Answer(b"old", headers=CACHED)
        return Answer(b"changed")

    origin.answer = answer
    slow = threading.Thread(target=nginx.get, args=("/p",))
    slow.start()
    assert rendering.wait(5)
    nginx.request("POST", "/p", body=b"x")
    go_on.set()
    slow.join()
    time.sleep(0.1)
    assert is_gone(stored(nginx))
    # What is rendered from now on is new, and is stored over the tombstone.
    nginx.get("/p")
    time.sleep(0.1)
    assert not is_gone(stored(nginx)) and nginx.get("/p").cache == ("hit", "fresh")


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_the_answer_waits_whole(store, fake_redis, origin, buffering, size):
    """Header and body come behind the reply of Redis, complete and once."""
    replied = []

    def on_command(conn, words):
        if words[0] == b"SET":
            time.sleep(0.3)
            replied.append(time.monotonic())
            conn.sendall(b"+OK\r\n")
        return words[0] == b"SET"

    fake_redis.on_command = on_command
    body = bytes(n % 251 for n in range(size))
    answers(origin, headers=[("Content-Type", "text/plain")], body=body)
    nginx = store(target=fake_redis.url, app=f"proxy_buffering {buffering};")
    with nginx.client() as client:
        for n in range(1, 3):
            response = client.request("POST", "/p", body=b"x")
            assert (response.body, len(replied)) == (body, n)
            assert time.monotonic() >= replied[-1]
            assert client.get("/other").body == body


def test_no_longer_than_the_budget(store, fake_redis, origin, io):
    fake_redis.on_command = lambda conn, words: words[0] == b"SET"
    answers(origin, body=b"x" * 100_000)
    nginx = store("redis_cache_timeout 200ms; redis_cache_breaker off;", target=fake_redis.url)
    began = time.monotonic()
    assert nginx.request("POST", "/p", body=b"x").body == b"x" * 100_000
    assert 0.15 < time.monotonic() - began < 1.5
    what = "a write was dropped" if io == "blocking" else "an invalidation is late"
    assert any(f"{what}: timeout" in line for line in nginx.warnings())


def test_a_client_that_leaves_while_its_answer_waits(store, fake_redis, origin, io):
    if io == "blocking":
        pytest.skip("nothing waits beside a blocking query")
    fake_redis.on_command = lambda conn, words: words[0] == b"SET"
    answers(origin)
    nginx = store("redis_cache_timeout 300ms; redis_cache_breaker off;", target=fake_redis.url)
    for _ in range(20):
        client = nginx.client(timeout=0.05)
        # After a fault of the connection the answer comes at once.
        with contextlib.suppress(OSError):
            client.request("POST", "/p", body=b"x")
        client.close()
    wait_for(lambda: len(nginx.access_log()) >= 20, "all requests to end", 10)
    assert nginx.get("/q").status == 200


def test_redis_down(store, redis, origin, put, nginx):
    answers(origin)
    redis.kill()
    assert nginx.request("POST", "/p", body=b"x").body == b"done"


def test_an_answer_that_no_application_gave(store, redis, stored):
    nginx = store(
        locations=f"""
            location /text {{
                redis_cache {redis.url}; redis_cache_store on;
                proxy_pass http://127.0.0.1:1;
                error_page 502 =200 /page;
            }}
            location /page {{ internal; return 200 page; }}
        """
    )
    redis.set(key_of(nginx, "/text"), page("old"))
    for _ in range(2):
        response = nginx.request("POST", "/text", body=b"x")
        assert (response.status, response.body) == (200, b"page")

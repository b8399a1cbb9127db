"""RFC 9111 section 4.4: a non-error answer to an unsafe method invalidates its URI, and those that its
Location and Content-Location name on the same origin."""

import pytest
from support.raw import exchange, request_bytes
from support.site import LIFETIME, message

UNSAFE = ["POST", "PUT", "DELETE", "PATCH", "MKCOL", "PURGE", "FOO"]
SAFE = ["GET", "HEAD", "OPTIONS", "TRACE"]


@pytest.fixture
def stored(cache):
    """`stored()`: a target whose page is stored."""

    def stored(suffix=""):
        target = cache.target() + suffix
        cache.answers([LIFETIME])
        assert cache.get(target).body == cache.get(target).body == b"answer 1"
        return target

    return stored


def sends(cache, target, method="POST", status="200 OK", headers=()):
    cache.origin.answer = lambda asked: message(status, headers, b"done", asked.method)
    response = cache.get(target, method=method)
    assert response.status == int(status[:3])
    cache.answers([LIFETIME])


def is_hit(cache, target):
    return cache.get(target).cache[0] == "hit"


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("status", ["200 OK", "204 X", "303 X"])
def test_an_unsafe_method_invalidates_its_uri(cache, stored, method, status):
    """MUST, also for methods whose safety is unknown."""
    target = stored()
    sends(cache, target, method, status)
    assert not is_hit(cache, target)


@pytest.mark.parametrize("status", ["201 X", "202 X", "205 X", "206 X", "299 X", "301 X", "302 X", "307 X",
                                    "308 X", "399 X"])  # fmt: skip
def test_every_non_error_status_invalidates(cache, stored, status):
    target = stored()
    sends(cache, target, "POST", status)
    assert not is_hit(cache, target)


@pytest.mark.parametrize("status", ["400 X", "403 X", "404 X", "409 X", "500 X", "503 X"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "FOO"])
def test_an_error_does_not(cache, stored, method, status):
    """A non-error response is 2xx or 3xx."""
    target = stored()
    sends(cache, target, method, status)
    assert is_hit(cache, target)


@pytest.mark.parametrize("method", SAFE)
def test_a_safe_method_does_not(cache, stored, method):
    target, other = stored(), stored()
    status = "405 X" if method == "TRACE" else "200 OK"
    sends(cache, target, method, status, [("Location", other), ("Content-Location", other)])
    assert is_hit(cache, target) and is_hit(cache, other)


def test_what_the_request_says_does_not_matter(cache, stored):
    """Neither no-store, nor a condition, nor Authorization keeps a stale page in."""
    for headers in [{"Cache-Control": "no-store"}, {"If-Match": '"1"'}, {"Authorization": "Basic eDp5"},
                    {"Range": "bytes=0-1"}, {"Cookie": "sessionid=1"}]:  # fmt: skip
        target = stored()
        cache.origin.answer = lambda asked: message(body=b"done")
        assert cache.get(target, headers, "POST", body=b"x").status == 200
        cache.answers([LIFETIME])
        assert not is_hit(cache, target), headers


def test_other_uris_stay(cache, stored):
    target, query, other = stored(), stored("?a=1"), stored()
    sends(cache, target)
    assert not is_hit(cache, target)
    assert is_hit(cache, query) and is_hit(cache, other)
    sends(cache, query)
    assert not is_hit(cache, query) and is_hit(cache, target)


FORMS = [
    ("{target}", True),
    ("http://127.0.0.1:{port}{target}", True),
    ("HTTP://127.0.0.1:{port}{target}", True),
    ("//127.0.0.1:{port}{target}", True),
    ("{name}", True),
    ("./{name}", True),
    ("/x/../{name}", True),
    ("{target}#fragment", True),
    ("http://127.0.0.1:{port}{target}#a?b", True),
    ("http://evil.example{target}", False),
    ("https://127.0.0.1:{port}{target}", False),
    ("http://127.0.0.1{target}", False),
    ("http://127.0.0.1:1{target}", False),
    ("//evil.example{target}", False),
    ("http://evil.example@127.0.0.1.evil.example:{port}{target}", False),
    ("http://127.0.0.1:{port}@evil.example{target}", False),
    ("http://127.0.0.1:{port}.evil.example{target}", False),
    ("ftp://127.0.0.1:{port}{target}", False),
    ("{target}x", False),
    ("", False),
    ("http:", False),
    ("http://", False),
    ("\x80\xff", False),
]


@pytest.mark.parametrize(("form", "invalidates"), FORMS)
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
def test_location_and_content_location_on_the_same_origin(cache, stored, name, form, invalidates):
    """MUST NOT where the origin of that URI differs; `MAY` else, and the module says it does."""
    target, other = stored(), stored()
    value = form.format(target=other, port=cache.nginx.port, name=other[1:])
    sends(cache, target, "POST", "201 X", [(name, value)])
    assert not is_hit(cache, target)
    assert is_hit(cache, other) != invalidates


@pytest.mark.parametrize("status", ["400 X", "500 X"])
def test_the_locations_of_an_error_stay(cache, stored, status):
    target, other = stored(), stored()
    sends(cache, target, "POST", status, [("Location", other), ("Content-Location", other)])
    assert is_hit(cache, other)


def test_both_locations(cache, stored):
    target, one, two = stored(), stored(), stored()
    sends(cache, target, "POST", "201 X", [("Location", one), ("Content-Location", two)])
    assert not is_hit(cache, one) and not is_hit(cache, two)


def test_all_variants_go(cache):
    target = cache.target()
    cache.answers([LIFETIME, ("Vary", "Foo")])
    for foo in ["1", "2"]:
        cache.get(target, {"Foo": foo})
    sends(cache, target)
    cache.answers([LIFETIME, ("Vary", "Foo")])
    assert cache.get(target, {"Foo": "1"}).body == b"answer 4"
    assert cache.get(target, {"Foo": "2"}).body == b"answer 5"


def test_the_writer_sees_its_own_write_at_once(cache):
    """Without any wait, and pipelined on one connection."""
    target, port = cache.target(), cache.nginx.port
    cache.answers([LIFETIME])
    host = f"127.0.0.1:{port}"
    for round in range(10):
        before = len(cache.asked(target))
        get = request_bytes(target, host=host)
        post = request_bytes(target, "POST", host=host, headers=[("Content-Length", "0")])
        responses = exchange(port, get, post, get)
        assert responses[2].body == b"answer %d" % len(cache.asked(target))
        assert responses[2].body != responses[0].body
        assert len(cache.asked(target)) >= before + 2


def test_a_fill_that_began_before_the_write_does_not_come_back(cache):
    """The application made its page before the write; stored after it, it would be stale for an
    hour."""
    import threading

    target = cache.target()
    entered, go = threading.Event(), threading.Event()

    def answer(asked):
        if asked.method == "POST":
            return message(body=b"written")
        if not entered.is_set():
            entered.set()
            go.wait(5)
            return message(headers=[LIFETIME], body=b"before")
        return message(headers=[LIFETIME], body=b"after")

    cache.origin.answer = answer
    slow = threading.Thread(target=cache.get, args=(target,))
    slow.start()
    assert entered.wait(5)
    assert cache.get(target, method="POST").body == b"written"
    go.set()
    slow.join()
    assert cache.get(target).body == b"after"
    assert cache.get(target).body == b"after"


def test_a_page_is_stored_again_after_an_invalidation(cache, stored):
    target = stored()
    sends(cache, target)
    assert cache.get(target).body == b"answer 3"
    assert cache.get(target).cache == ("hit", "fresh")

"""An answer that varies is stored behind a marker, a page for each variant; one that varies on
Accept-Encoding alone needs none until clients want different codings (RFC 9111 section 4.1)."""

import gzip
import re
import time

import pytest
from support.origin import Answer
from support.stored import fresh_line, key_of, page

BASE = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]


@pytest.fixture
def nginx(store):
    return store()


def echo(origin, name, vary=None):
    """Answers with the value of a request header."""
    headers = [*BASE, ("Vary", vary or name)]
    origin.answer = lambda asked: Answer(f"{asked.header(name)}".encode(), headers=headers)


def get(nginx, headers, target="/p"):
    response = nginx.get(target, headers)
    time.sleep(0.04)
    return response.body, response.cache[0]


def keys(redis):
    with redis.client() as client:
        return sorted(key.decode() for key in client.keys())


def test_each_variant_has_its_page(nginx, origin, redis, stored):
    echo(origin, "Accept-Language")
    for language in ["de", "en"]:
        assert get(nginx, {"Accept-Language": language})[1] != "hit"
    for language in ["de", "en"]:
        found = get(nginx, {"Accept-Language": language})
        assert found == (language.encode(), "hit")
    marker = re.fullmatch(
        rb'HTTP/1.1 200 OK\r\nRedis-Cache: v=1, vary=\("accept-language"\), gen="([0-9a-f]{32})"'
        rb"\r\n\r\n",
        stored(nginx),
    )
    variants = [key for key in keys(redis) if "|" in key]
    assert len(variants) == 2
    assert all(key.startswith(f"{key_of(nginx, '/p')}|{marker[1].decode()}|") for key in variants)
    assert len(origin.requests) == 2


def test_normalised_values_share_a_page(nginx, origin):
    echo(origin, "Accept-Language")
    get(nginx, {"Accept-Language": "de-AT, en;q=0.8, fr;q=0"})
    assert get(nginx, {"Accept-Language": "en;q=0.1 , DE-at"})[1] == "hit"
    assert get(nginx, {"Accept-Language": "en, de-AT;q=0.8"})[1] != "hit"


def test_absent_and_empty_differ(nginx, origin):
    echo(origin, "X-Kind")
    assert get(nginx, {}) == (b"None", "fwd=uri-miss")
    assert get(nginx, {"X-Kind": ""}) == (b"", "fwd=vary-miss")
    assert get(nginx, {}) == (b"None", "hit")
    assert get(nginx, {"X-Kind": ""}) == (b"", "hit")


def test_vary_on_everything_is_not_stored(nginx, origin, redis):
    for vary in ["*", "Accept, *", " *"]:
        echo(origin, "Accept", vary)
        response = nginx.get("/p")
        assert response.cache == ("fwd=uri-miss", "absent/vary_all")
    assert keys(redis) == []


def test_a_field_more_makes_a_new_generation(nginx, origin, stored):
    echo(origin, "X-A")
    get(nginx, {"X-A": "1", "X-B": "1"})
    old = stored(nginx)
    echo(origin, "X-B")
    assert get(nginx, {"X-A": "2", "X-B": "1"}) == (b"1", "fwd=vary-miss")
    assert b'vary=("x-a" "x-b")' in stored(nginx) and stored(nginx) != old
    assert get(nginx, {"X-A": "2", "X-B": "1"}) == (b"1", "hit")
    assert get(nginx, {"X-A": "1", "X-B": "1"})[1] != "hit"


def test_a_page_that_no_longer_varies(nginx, origin, stored):
    echo(origin, "X-A")
    get(nginx, {"X-A": "1"})
    origin.answer = lambda asked: Answer(b"same for all", headers=BASE)
    get(nginx, {"X-A": "2"})
    assert stored(nginx).endswith(b"same for all")
    assert get(nginx, {"X-A": "3"}) == (b"same for all", "hit")


def test_cookies_of_a_page_that_varies_on_them(nginx, origin, redis):
    """Visitors without a cookie share a page; that of a visitor with one is nobody else's."""
    echo(origin, "Cookie")
    response = nginx.get("/p", {"Cookie": "sessionid=a"})
    assert (response.body, response.cache[1]) == (b"sessionid=a", "absent/personal")
    assert keys(redis) == []
    assert get(nginx, {}) == (b"None", "fwd=uri-miss")
    assert get(nginx, {}) == (b"None", "hit")
    for user in ["a", "b"]:
        assert get(nginx, {"Cookie": f"sessionid={user}"})[0] == f"sessionid={user}".encode()
    assert get(nginx, {}) == (b"None", "hit")
    assert len(keys(redis)) == 2


def test_a_bounded_number_of_variants(nginx, origin, redis):
    echo(origin, "X-Any")
    with nginx.client() as client:
        for n in range(100):
            client.get("/p", {"X-Any": str(n)})
    time.sleep(0.1)
    assert len(keys(redis)) <= 1 + 64
    assert nginx.get("/p", {"X-Any": "new"}).cache == ("fwd=vary-miss", "vary")
    assert nginx.logged(101)[-1].endswith("w=variants")
    assert get(nginx, {"X-Any": "99"})[0] == b"99"


def test_the_marker_lives_as_long_as_its_variants(nginx, origin, redis):
    def answer(asked):
        age = 10 if asked.header("X-A") == "short" else 600
        headers = [("Cache-Control", f"max-age={age}"), ("Vary", "X-A")]
        return Answer(b"page", headers=headers)

    origin.answer = answer
    with redis.client() as client:
        for value in ["short", "long", "short again"]:
            get(nginx, {"X-A": value})
            left = client.pttl(key_of(nginx, "/p"))
            assert left > (5_000 if value == "short" else 590_000), value


def test_an_include_varies_by_itself(store, origin):
    html = [("Content-Type", "text/html"), ("Cache-Control", "max-age=60")]

    def answer(asked):
        if asked.target == "/p":
            return Answer(b'<!--# include virtual="/part" -->', headers=html)
        language = asked.header("Accept-Language") or "none"
        return Answer(language.encode(), headers=[*html, ("Vary", "Accept-Language")])

    origin.answer = answer
    nginx = store(server="ssi on;")
    for _ in range(2):
        for language in ["de", "en"]:
            assert get(nginx, {"Accept-Language": language})[0] == language.encode()
    assert len(origin.requests) == 3


# Content codings.

TEXT = b"text " * 100


def coded(origin):
    """An application that compresses for whoever takes it."""

    def answer(asked):
        headers = [*BASE, ("Vary", "Accept-Encoding")]
        if "gzip" in (asked.header("Accept-Encoding") or ""):
            return Answer(gzip.compress(TEXT), headers=[*headers, ("Content-Encoding", "gzip")])
        return Answer(TEXT, headers=headers)

    origin.answer = answer


def test_one_coding_for_all_needs_no_marker(nginx, origin, stored):
    coded(origin)
    for _ in range(2):
        body, _ = get(nginx, {"Accept-Encoding": "gzip, br"})
        assert gzip.decompress(body) == TEXT
    assert b"Content-Encoding: gzip" in stored(nginx)
    assert get(nginx, {"Accept-Encoding": "deflate, gzip;q=0.5"})[1] == "hit"


def test_an_identity_page_does_for_all(nginx, origin):
    coded(origin)
    assert get(nginx, {}) == (TEXT, "fwd=uri-miss")
    assert get(nginx, {"Accept-Encoding": "gzip"}) == (TEXT, "hit")


def test_clients_of_different_codings_get_variants(nginx, origin, stored):
    coded(origin)
    get(nginx, {"Accept-Encoding": "gzip"})
    assert get(nginx, {}) == (TEXT, "fwd=vary-miss")
    assert b'vary=("accept-encoding")' in stored(nginx)
    assert get(nginx, {}) == (TEXT, "hit")
    assert gzip.decompress(get(nginx, {"Accept-Encoding": "gzip"})[0]) == TEXT
    found = get(nginx, {"Accept-Encoding": "GZIP;q=0.1"})
    assert (gzip.decompress(found[0]), found[1]) == (TEXT, "hit")


def test_ignored_vary(store, redis, origin):
    echo(origin, "Accept-Language", "Accept-Language, *")
    nginx = store("redis_cache_ignore_headers Vary;")
    assert get(nginx, {"Accept-Language": "de"}) == (b"de", "fwd=uri-miss")
    assert get(nginx, {"Accept-Language": "en"}) == (b"de", "hit")
    assert len(keys(redis)) == 1
    foreign = page("theirs", headers=[("Vary", "Cookie")], line=fresh_line())
    redis.set(key_of(nginx, "/q"), foreign)
    assert get(nginx, {}, "/q") == (b"theirs", "hit")

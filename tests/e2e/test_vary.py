"""A page that varies: a marker under its key names the request fields, and the page lies under a
key made of their values; a Vary that nobody indexed is a miss."""

import hashlib

import pytest
from support.stored import fresh_line, key_of, page

GENERATION = "9cb9ce5bd9e807867d42a740c9633fc7"


def marker(*fields, generation=GENERATION):
    names = " ".join(f'"{field}"' for field in fields)
    return page(b"", line=f'v=1, vary=({names}), gen="{generation}"')


def variant(key, values, generation=GENERATION):
    """The key of the variant with these normalised values; `None` is an absent field."""
    text = b""
    for name, value in sorted(values.items()):
        text += b"%d:%s" % (len(name), name.encode())
        value = value if value is None else value.encode()
        text += b"-" if value is None else b"%d:%s" % (len(value), value)
    return f"{key}|{generation}|{hashlib.sha256(text).hexdigest()}"


@pytest.fixture
def nginx(serve):
    return serve("redis_cache_status_header on;")


@pytest.fixture
def store(nginx, redis):
    """Stores a marker and pages under normalised values of its fields."""

    def store(fields, pages, target="/p"):
        redis.set(key_of(nginx, target), marker(*fields))
        for body, values in pages.items():
            vary = [("Vary", ", ".join(fields))]
            stored = page(body, headers=vary, line=fresh_line())
            redis.set(variant(key_of(nginx, target), values), stored)

    return store


def test_each_variant_has_its_page(nginx, store):
    store(["accept-language"], {"de": {"accept-language": "de"}, "en": {"accept-language": "en"}})
    for language in ["de", "en"]:
        response = nginx.get("/p", {"Accept-Language": language})
        assert (response.body, response.cache) == (language.encode(), ("hit", "fresh"))
        assert response.header("Vary") == "accept-language"
    response = nginx.get("/p", {"Accept-Language": "fr"})
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=vary-miss", "vary"))


def test_a_missing_variant_hands_over_the_first_key(nginx, store, origin):
    store(["cookie"], {})
    nginx.get("/p")
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/p")


def test_absent_and_empty_differ(nginx, store):
    store(["x-kind"], {"absent": {"x-kind": None}, "empty": {"x-kind": ""}})
    assert nginx.get("/p").body == b"absent"
    assert nginx.get("/p", {"X-Kind": ""}).body == b"empty"
    assert nginx.get("/p", {"X-Kind": "-"}).body == b"app GET /p"


def test_values_are_normalised(nginx, store):
    store(["accept-language"], {"page": {"accept-language": "de-at,de,en"}})
    for value in ["de-AT, de;q=0.9,en;q=0.8", "en;q=0.8, DE-at ,fr;q=0,de;q=0.9"]:
        assert nginx.get("/p", {"Accept-Language": value}).body == b"page", value
    store(["accept-encoding"], {"coded": {"accept-encoding": "br,gzip"}}, "/e")
    for value in ["gzip, br", "br;q=0.1, deflate, GZIP"]:
        assert nginx.get("/e", {"Accept-Encoding": value}).body == b"coded"
    store(["x-list"], {"list": {"x-list": "a, b"}}, "/l")
    for headers in [[("X-List", " a ,,b")], [("X-List", "a"), ("X-List", "b")]]:
        assert nginx.get("/l", headers).body == b"list"


def test_several_fields_in_one_order(nginx, store):
    values = {"accept-language": "de", "cookie": "a=b", "x-none": None}
    store(["X-None", "Cookie", "accept-language"], {"page": values})
    assert nginx.get("/p", {"Cookie": "a=b", "Accept-Language": "de"}).body == b"page"
    assert nginx.get("/p", {"Cookie": "a=b"}).body == b"app GET /p"


def test_a_value_cannot_pass_for_two(nginx, store):
    store(["x-a", "x-b"], {"page": {"x-a": "1", "x-b": "2"}})
    assert nginx.get("/p", {"X-A": "1", "X-B": "2"}).body == b"page"
    assert nginx.get("/p", {"X-A": "13:x-b1:2"}).body == b"app GET /p"


def test_a_new_generation_makes_old_variants_unreachable(nginx, store, redis):
    store(["cookie"], {"old": {"cookie": "a"}})
    assert nginx.get("/p", {"Cookie": "a"}).body == b"old"
    redis.set(key_of(nginx, "/p"), marker("cookie", generation="another"))
    assert nginx.get("/p", {"Cookie": "a"}).cache == ("fwd=vary-miss", "vary")


def test_what_else_may_lie_under_the_key_of_a_variant(nginx, redis):
    key = key_of(nginx, "/p")
    redis.set(key, marker("cookie"))
    for stored, reason in [
        (marker("cookie"), "entry"),
        (page("x", line='v=1, gone="x"'), "gone"),
        (page("x", line=fresh_line(fresh=1, age=5)), "stale"),
        (page("x", headers=[("Vary", "Cookie, Accept")]), "vary"),
        (b"no page", "entry"),
        (page("x", headers=[("Vary", "*")]), "vary"),
    ]:
        redis.set(variant(key, {"cookie": "a"}), stored)
        assert nginx.get("/p", {"Cookie": "a"}).cache[1] == reason


UNINDEXED = [["Cookie"], ["*"], ["Accept-Encoding, Cookie"], ["Accept-Encoding", "X-A"],
             ["accept-encoding,*"], [" Cookie"]]  # fmt: skip


@pytest.mark.parametrize("lines", UNINDEXED)
def test_a_vary_that_nobody_indexed_is_a_miss(nginx, redis, lines):
    headers = [("Vary", line) for line in lines]
    redis.set(key_of(nginx, "/p"), page("stored", headers=headers, line=fresh_line()))
    response = nginx.get("/p")
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=vary-miss", "vary"))


def test_accept_encoding_alone_is_answered_by_the_coding(nginx, redis):
    redis.set(key_of(nginx, "/p"), page("stored", headers=[("Vary", "Accept-Encoding, ,")]))
    assert nginx.get("/p").body == b"stored"


def test_two_lookups_in_one_time_budget(serve, fake_redis):
    import time

    from support.fake_redis import bulk

    def slow(conn, key):
        time.sleep(0.15)
        conn.sendall(bulk(marker("cookie")) if b"|" not in key else bulk(page("variant")))

    fake_redis.on_get = slow
    nginx = serve(
        "redis_cache_timeout 200ms; redis_cache_status_header on;", target=fake_redis.url
    )
    began = time.monotonic()
    assert nginx.get("/p").cache == ("fwd=miss", "timeout")
    assert time.monotonic() - began < 0.6


def test_a_variant_of_an_include(serve, redis):
    nginx = serve("ssi on;")
    html = [("Content-Type", "text/html")]
    redis.set(key_of(nginx, "/p"), page('<!--# include virtual="/part" -->', headers=html))
    key = key_of(nginx, "/part")
    redis.set(key, marker("cookie"))
    redis.set(variant(key, {"cookie": "a"}), page("variant", headers=[("Vary", "cookie"), *html]))
    assert nginx.get("/p", {"Cookie": "a"}).body == b"variant"
    assert nginx.get("/p", {"Cookie": "b"}).body == b"app GET /part"


def test_head_and_conditions_of_a_variant(nginx, redis):
    key = key_of(nginx, "/p")
    redis.set(key, marker("cookie"))
    headers = [("Vary", "Cookie"), ("ETag", '"1"')]
    redis.set(variant(key, {"cookie": "a"}), page("variant", headers=headers))
    cookie = {"Cookie": "a"}
    assert nginx.request("HEAD", "/p", cookie).header("Content-Length") == "7"
    assert nginx.get("/p", {**cookie, "If-None-Match": '"1"'}).status == 304
    assert nginx.get("/p", {**cookie, "Range": "bytes=0-2"}).body == b"var"

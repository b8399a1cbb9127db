"""RFC 9111 sections 4.3.1 to 4.3.4 and 3.2: a stale page is asked about with its own validators, a
304 updates its fields, another answer takes its place (redis_cache_revalidate)."""

import time
from email.utils import parsedate, parsedate_to_datetime

import pytest
from support.site import LIFETIME, http_date, message, site
from support.stored import fresh_line, key_of, page


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {
        "/r/": "redis_cache_revalidate on; if_modified_since before;",
        "/any/": "redis_cache_revalidate on; redis_cache_valid any 1h;",
    }
    with site(tmp_path_factory.mktemp("site"), places) as cache:
        yield cache


ETAG, MODIFIED = ("ETag", '"1"'), ("Last-Modified", http_date(-100_000))


@pytest.fixture
def stale(cache):
    """`stale(*headers)`: the target of a stale page with these fields."""

    def stale(*headers, body=b"stored", place="/r/", age=100):
        target = cache.target(place)
        value = page(body, headers=headers, line=fresh_line(1000, age=age))
        cache.redis.set(key_of(cache.nginx, target), value)
        return target

    return stale


def not_modified(cache, *headers):
    """304 to a request with a validator, a whole page to any other."""
    fields = [LIFETIME, *headers]

    def answer(asked):
        conditional = asked.header("If-None-Match") or asked.header("If-Modified-Since")
        whole = message(headers=fields, body=b"whole", method=asked.method)
        return message("304 Not Modified", fields) if conditional else whole

    cache.origin.answer = answer


@pytest.mark.parametrize(
    "validators", [[ETAG], [MODIFIED], [ETAG, MODIFIED], [("ETag", 'W/"1"')]], ids=range(4)
)
def test_the_application_is_asked_with_all_validators(cache, stale, validators):
    """4.3.1: If-None-Match with an entity tag is a MUST, If-Modified-Since a SHOULD."""
    target = stale(*validators)
    not_modified(cache, *validators)
    response = cache.get(target)
    asked = cache.asked(target)[0]
    values = dict(validators)
    assert asked.header("If-None-Match") == values.get("ETag")
    if "ETag" not in values:
        assert asked.header("If-Modified-Since") == values["Last-Modified"]
    else:
        assert asked.header("If-Modified-Since") in (None, values.get("Last-Modified"))
    assert (response.status, response.body) == (200, b"stored")
    assert response.header("Age") in ("0", "1")
    again = cache.get(target)
    assert again.cache == ("hit", "fresh") and again.body == b"stored"
    assert len(cache.asked(target)) == 1


def test_without_a_validator_the_application_is_asked_plainly(cache, stale):
    target = stale(("X-Old", "1"))
    cache.answers([LIFETIME])
    assert cache.get(target).body == b"answer 1"
    asked = cache.asked(target)[0]
    assert asked.header("If-None-Match") is None and asked.header("If-Modified-Since") is None


UPDATES = [
    ("X-New", "new"), ("X-Old", "new"), ("Cache-Control", "max-age=77"), ("Expires", http_date(999)),
    ("Content-Language", "en"), ("Link", "<new>"), ("Content-Security-Policy", "default-src 'none'"),
    ("Last-Modified", http_date(-50)), ("Date", http_date(-3)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), UPDATES, ids=[name for name, _ in UPDATES])
def test_a_304_updates_the_stored_fields(cache, stale, name, value):
    """3.2: the cache MUST add each field of the response, replacing those that exist."""
    old = [("X-Old", "old"), ("X-Kept", "kept"), ("Content-Language", "de"), ("Link", "<old>"),
           ("Cache-Control", "max-age=1"), ("Content-Security-Policy", "default-src *"),
           ("Date", http_date(-100)), ETAG]  # fmt: skip
    target = stale(*old)
    cache.answers([*([] if name == "Cache-Control" else [LIFETIME]), (name, value), ETAG], "304 X")
    for response in [cache.get(target), cache.get(target)]:
        assert response.status == 200 and response.body == b"stored"
        assert response.all(name) == [value]
        assert response.header("X-Kept") == "kept"
        assert response.all("ETag") == [ETAG[1]]
    assert response.cache == ("hit", "fresh")


KEPT = [
    ("Server", "old"), ("Content-Type", "text/x"), ("Last-Modified", http_date(-99)),
    ("Link", "<old>"), ("Content-Language", "de"), ("Location", "/x"), ("X-Old", "old"), ("Expires", http_date(9)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), KEPT, ids=[name for name, _ in KEPT])
def test_what_a_304_does_not_have_is_kept(cache, stale, name, value):
    target = stale(ETAG, (name, value))
    not_modified(cache, ETAG)
    for response in [cache.get(target), cache.get(target)]:
        assert response.body == b"stored"
        assert response.all(name) == [value]


def test_a_304_without_a_date_leaves_one(cache, stale):
    """3.2: the stored Date, or that of the arrival (RFC 9110, 6.6.1)."""
    target = stale(ETAG, ("Date", http_date(-9)))
    not_modified(cache, ETAG, ("Date", None))
    for response in [cache.get(target), cache.get(target)]:
        assert parsedate(response.header("Date")), response.headers


def test_a_304_adds_no_empty_field(cache, stale):
    target = stale(ETAG)
    not_modified(cache, ETAG)
    for response in [cache.get(target), cache.get(target)]:
        assert [name for name, value in response.headers if value == ""] == []
    assert b":\r\n" not in cache.stored(target) and b": \r\n" not in cache.stored(target)


@pytest.mark.parametrize("lines", [1, 2])
def test_a_304_replaces_all_lines_of_a_field(cache, stale, lines):
    target = stale(("X-A", "1"), ("X-A", "2"), ("X-A", "3"), ETAG)
    new = [("X-A", f"new {n}") for n in range(lines)]
    not_modified(cache, ETAG, *new)
    for response in [cache.get(target), cache.get(target)]:
        assert response.all("X-A") == [value for _, value in new]


@pytest.mark.parametrize(("name", "value"), [
    ("Content-Length", "3"), ("Content-Encoding", "br"), ("Content-Type", "application/json"),
    ("Content-Range", "bytes 0-1/6"), ("Connection", "X-Kept"), ("Transfer-Encoding", "chunked"),
    ("Set-Cookie", "a=alice"), ("Redis-Cache", "v=1, stored=1, fresh=1"), ("Trailer", "x"),
])  # fmt: skip
def test_a_304_never_breaks_the_stored_page(cache, stale, name, value):
    """3.2: not the fields of 3.1, nor those the stored body depends on; see 3.2 on Content-Length,
    Content-Encoding, Content-Type and Content-Range."""
    target = stale(ETAG, ("X-Kept", "kept"), ("Content-Type", "text/html"))
    not_modified(cache, ETAG, (name, value))
    for response in [cache.get(target), cache.get(target)]:
        assert (response.status, response.body) == (200, b"stored")
        assert response.header("Content-Length") in ("6", None)
        for missing in ["Content-Encoding", "Content-Range", "Redis-Cache"]:
            assert response.header(missing) is None
    assert response.header("Set-Cookie") is None or len(cache.asked(target)) == 2
    assert b"alice" not in cache.stored(target)
    assert response.header("X-Kept") == "kept" or name == "Connection"


@pytest.mark.parametrize("control", ["no-store", "private"])
def test_a_304_that_forbids_storing_does_not_refresh(cache, stale, control):
    target = stale(ETAG)
    cache.answers([("Cache-Control", control), ETAG], "304 X")
    assert cache.get(target).body == b"stored"
    assert cache.get(target).body == b"stored"
    assert len(cache.asked(target)) == 2


@pytest.mark.parametrize("tag", ['"2"', 'W/"2"'])
def test_a_304_with_another_strong_validator_updates_nothing(cache, stale, tag):
    """4.3.4: if none of the stored responses has the strong validator of the 304, the cache MUST
    NOT use it to update any stored response."""
    target = stale(ETAG, ("X-Old", "old"))

    def answer(asked):
        if asked.header("If-None-Match") == ETAG[1]:
            return message("304 X", [LIFETIME, ("ETag", tag), ("X-Old", "new")])
        return message(headers=[LIFETIME, ("ETag", tag)], body=b"whole")

    cache.origin.answer = answer
    before = cache.stored(target)
    for _ in range(2):
        response = cache.get(target)
        assert response.status in (200, 502)
        if tag == '"2"':
            assert (response.header("ETag"), response.body) != (tag, b"stored")
    value = cache.stored(target)
    assert value == before or not value.endswith(b"\r\n\r\nstored")


@pytest.mark.parametrize("age", [[], [("Age", "100")]], ids=["young", "aged"])
def test_a_304_without_date_is_as_old_as_its_arrival(cache, stale, age):
    """4.3.4 and RFC 9110, 6.6.1: what comes without Date was made when it was received, and not when
    the stored page was."""
    target = stale(ETAG, ("Date", http_date(-5000)))
    not_modified(cache, ETAG, ("Date", None), *age)
    confirmed = cache.get(target)
    assert confirmed.header("Cache-Status").startswith("nginx-redis-cache; fwd=stale; fwd-status=304")
    again = cache.get(target)
    assert again.cache == ("hit", "fresh") and len(cache.asked(target)) == 1
    for response in [confirmed, again]:
        made = 100 if age else 0
        assert made <= int(response.header("Age")) < made + 30
        assert time.time() - parsedate_to_datetime(response.header("Date")).timestamp() < 30
        assert len(response.all("Date")) == 1


@pytest.mark.parametrize("status", ["200 OK", "404 X", "410 X", "500 X", "503 X"])
def test_another_answer_is_sent_and_takes_the_place(cache, stale, status):
    """4.3.3: a full response is used; a 5xx may be forwarded, and nothing stale is invented."""
    target = stale(ETAG)
    cache.answers([LIFETIME, ("ETag", '"2"')], status)
    response = cache.get(target)
    assert (response.status, response.body) == (int(status[:3]), b"answer 1")
    assert response.header("ETag") == '"2"'
    assert cache.get(target).body == b"answer 1"


@pytest.mark.parametrize("status", ["404 X", "500 X", "503 X"])
def test_an_error_without_a_lifetime_leaves_the_stale_page(cache, stale, status):
    target = stale(ETAG)
    before = cache.stored(target)
    cache.answers([ETAG], status)
    assert cache.get(target).status == int(status[:3])
    assert cache.stored(target) == before
    cache.answers([LIFETIME], "304 X")
    response = cache.get(target)
    assert (response.status, response.body) == (200, b"stored")


def test_no_cache_pages_are_asked_about_each_time(cache):
    """5.2.2.4: no-cache MUST NOT be used without successful validation."""
    headers = [("Cache-Control", "no-cache"), ETAG]
    target = cache.target("/r/")
    cache.answers(headers)
    assert cache.get(target).body == b"answer 1"
    cache.answers(headers, "304 X")
    for count in [2, 3]:
        response = cache.get(target)
        assert (response.status, response.body) == (200, b"answer 1")
        assert cache.asked(target)[-1].header("If-None-Match") == '"1"'
        assert len(cache.asked(target)) == count


def test_a_head_of_a_stale_page(cache, stale):
    target = stale(ETAG)
    not_modified(cache, ETAG)
    response = cache.get(target, method="HEAD")
    assert (response.status, response.body) == (200, b"")
    assert cache.get(target).body in (b"stored", b"whole")


CONDITIONS = [
    ({"If-None-Match": '"1"'}, 304), ({"If-None-Match": 'W/"1"'}, 304), ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"x"'}, 200), ({"If-None-Match": '"x", "1"'}, 304),
    ({"If-Modified-Since": http_date(-10)}, 304), ({"If-Modified-Since": http_date(-200_000)}, 200),
    ({"If-None-Match": '"x"', "If-Modified-Since": http_date(-10)}, 200),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "status"), CONDITIONS)
def test_the_clients_own_condition_is_answered_from_the_revalidated_page(
    cache, stale, headers, status
):
    """4.3.1: the cache's validators are its own; 4.3.2: the client's condition is judged then."""
    target = stale(ETAG, MODIFIED)

    def answer(asked):
        matches = asked.header("If-None-Match") == ETAG[1]
        whole = message(headers=[LIFETIME, ETAG, MODIFIED], body=b"stored")
        return message("304 X", [LIFETIME, ETAG, MODIFIED]) if matches else whole

    cache.origin.answer = answer
    response = cache.get(target, headers)
    assert response.status == status
    assert response.body == {200: b"stored", 206: b"to", 304: b""}[status]
    assert cache.get(target).body == b"stored"


def test_a_range_of_a_stale_page_reaches_the_application_untouched(cache, stale):
    target = stale(ETAG, MODIFIED)
    cache.answers([LIFETIME, ETAG, ("Content-Range", "bytes 1-2/6")], "206 X", b"to")
    response = cache.get(target, {"Range": "bytes=1-2", "If-Range": '"1"'})
    assert (response.status, response.body) == (206, b"to")
    asked = cache.asked(target)[0]
    assert asked.header("Range") == "bytes=1-2" and asked.header("If-None-Match") is None
    cache.answers([LIFETIME, ETAG])
    assert cache.get(target).body == b"answer 2"


def test_a_304_to_a_request_without_a_condition(cache):
    """A broken application: its 304 is not stored, and is no 200 with an empty body."""
    target = cache.target("/any/")
    cache.answers([LIFETIME, ETAG], "304 X")
    assert cache.get(target).status == 304
    assert cache.stored(target) is None


def test_a_revalidated_variant(cache):
    target = cache.target("/r/")
    headers = [("Cache-Control", "no-cache"), ("Vary", "Foo")]

    def answer(asked):
        foo = asked.header("Foo")
        if asked.header("If-None-Match") == f'"{foo}"':
            return message("304 X", [*headers, ("ETag", f'"{foo}"')])
        return message(headers=[*headers, ("ETag", f'"{foo}"')], body=b"page " + foo.encode())

    cache.origin.answer = answer
    for _ in range(2):
        for foo in ["a", "b"]:
            assert cache.get(target, {"Foo": foo}).body == b"page " + foo.encode()
    tags = [asked.header("If-None-Match") for asked in cache.asked(target)]
    assert tags == [None, None, '"a"', '"b"']

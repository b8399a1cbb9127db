"""RFC 9111 section 3: which answers a shared cache must not store, and which it may; section 5.2.2
for no-store, private, no-cache and must-understand; RFC 6265 says why Set-Cookie is one's own."""

import time

import pytest
from support.raw import Raw, request_bytes
from support.raw_origin import Reset
from support.site import LIFETIME, http_date, message, site

PLACES = {
    "/any/": "redis_cache_valid any 1h;",
    "/valid/": "redis_cache_valid 1h;",
    "/intercept/": "redis_cache_valid any 1h; proxy_intercept_errors on; error_page 503 /sorry;"
    "add_header Cache-Control max-age=3600 always;",
    **{f"/{code}/": f"redis_cache_valid {code} 1h;" for code in (400, 404, 405, 414)},
}


SORRY = "location /sorry { return 200 sorry; }"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with site(tmp_path_factory.mktemp("site"), PLACES, server=SORRY) as cache:
        yield cache


def control(*values):
    return [("Cache-Control", value) for value in values]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "FOO"])
def test_an_answer_to_another_method_is_not_stored(cache, method):
    cache.answers([LIFETIME])
    target = cache.target()
    assert cache.get(target, method=method).body == b"answer 1"
    assert cache.get(target).body == b"answer 2"
    assert cache.get(target, method=method).body == b"answer 3"


def test_an_answer_to_head_is_not_stored(cache):
    cache.answers([LIFETIME])
    target = cache.target()
    cache.get(target, method="HEAD")
    assert cache.get(target).body == b"answer 2"
    assert cache.get(target).body == b"answer 2"


SUCCESSES = ["200 OK", "203 X", "300 X", "301 X", "302 X", "303 X", "307 X", "308 X"]
ERRORS = ["299 X", "404 Not Found", "410 Gone", "451 X", "499 X", "500 X", "502 X", "503 X", "504 X",
          "599 X"]  # fmt: skip
PROVOKED = ["400 X", "405 X", "414 X"]


@pytest.mark.parametrize("status", SUCCESSES + ERRORS + PROVOKED)
@pytest.mark.parametrize("lifetime", [LIFETIME, ("Expires", http_date(3600))])
def test_a_final_status_with_a_lifetime_is_stored(cache, status, lifetime):
    first, second, count = cache.twice([lifetime, ("Location", "/x")], status)
    assert count == 1 and second.body == b"answer 1"
    assert first.status == second.status == int(status[:3])
    assert first.header("Location") == second.header("Location")


@pytest.mark.parametrize(
    "status", ["200 OK", "404 Not Found", "503 X", "503", '299 A "B"', "599 X"]
)
def test_the_reason_phrase_of_a_hit(cache, status):
    """That of the application; a page with status 200 has nginx's own, and so has one without."""
    cache.answers([LIFETIME], status)
    target = cache.target()
    lines = []
    for _ in range(2):
        with Raw(cache.nginx.port) as raw:
            raw.send(request_bytes(target, host=f"127.0.0.1:{cache.nginx.port}"))
            lines.append(raw.reader.readline().decode().rstrip("\r\n"))
        time.sleep(0.02)
    nginxs_own = {"503": "503 Service Temporarily Unavailable"}
    assert lines[1].rstrip() == f"HTTP/1.1 {nginxs_own.get(status, status)}"
    assert len(cache.asked(target)) == 1


@pytest.mark.parametrize("status", SUCCESSES + ERRORS + PROVOKED)
def test_nothing_is_stored_of_any_status_without_a_lifetime(cache, status):
    assert not cache.reuses([], status)


@pytest.mark.parametrize("status", ERRORS)
def test_an_error_without_a_lifetime_is_stored_where_any_is_named(cache, status):
    assert not cache.reuses([], status, "/valid/")
    assert cache.reuses([], status, "/any/")


@pytest.mark.parametrize("status", PROVOKED)
def test_any_does_not_name_what_a_request_may_provoke(cache, status):
    assert not cache.reuses([], status, "/any/")
    assert cache.reuses([], status, f"/{status[:3]}/")


def test_a_page_without_a_body(cache):
    first, second, count = cache.twice([LIFETIME, ("X-Of", "it")], "204 No Content")
    assert count == 1 and second.cache == ("hit", "fresh")
    for response in [first, second]:
        assert (response.status, response.body, response.header("X-Of")) == (204, b"", "it")
        assert response.header("Content-Length") is None
    for method in ["GET", "HEAD"]:
        target = cache.origin.last.target
        headers = {"If-None-Match": "*", "Range": "bytes=0-"}
        assert cache.get(target, headers, method).status == 204


def test_a_204_with_a_body_has_none_for_others(cache):
    target = cache.target()
    cache.origin.answer = lambda asked: (
        message("204 X", [LIFETIME, ("Content-Length", "5")]) + b"12345"
    )
    assert cache.get(target).body == b""
    assert cache.get(target).body == b"" and len(cache.asked(target)) == 1
    assert cache.stored(target).endswith(b"\r\n\r\n")


def test_a_205_with_a_lifetime_is_stored(cache):
    assert cache.twice([LIFETIME], "205 X", body=b"")[2] == 1


def test_only_the_named_status(cache):
    assert cache.reuses([], "404 Not Found", "/404/")
    assert not cache.reuses([], "410 Gone", "/404/")
    assert not cache.reuses([], "200 OK", "/404/")


NEVER = ["206 X", "304 X", "401 X", "407 X", "408 X", "411 X", "412 X", "413 X", "415 X", "416 X",
         "417 X", "421 X", "425 X", "426 X", "428 X", "429 X", "431 X"]  # fmt: skip


@pytest.mark.parametrize("status", NEVER)
def test_a_status_that_speaks_of_one_request_is_never_stored(cache, status):
    headers = [LIFETIME, ("WWW-Authenticate", "Basic"), ("Content-Range", "bytes */9")]
    first, second, count = cache.twice(headers[: 3 if status[:3] == "416" else 2], status, "/any/")
    assert count == 2 and second.status == first.status == int(status[:3])
    assert cache.stored(f"/any/t{next(cache.targets) - 1}") is None


@pytest.mark.parametrize("place", ["/any/", "/intercept/"])
@pytest.mark.parametrize("answer", [b"", [Reset()], b"HTTP/1.1 200 OK\r\nA"])
def test_a_page_that_nginx_makes_of_a_failure_is_not_stored(cache, place, answer):
    target = cache.target(place)
    cache.origin.answer = lambda asked: answer
    assert cache.get(target).status == 502
    assert cache.stored(target) is None
    cache.answers([LIFETIME])
    assert cache.get(target).status == 200


@pytest.mark.parametrize("status", ["404 X", "503 X"])
def test_a_page_in_the_place_of_the_answer_is_not_stored(cache, status):
    target = cache.target("/intercept/")
    cache.answers([LIFETIME], status)
    response = cache.get(target)
    assert (response.body == b"sorry") == (status == "503 X")
    assert (cache.stored(target) is None) == (status == "503 X")
    if status == "503 X":
        assert response.cache[1] == "absent/redirect"


def test_a_206_is_never_stored_as_a_200(cache):
    headers = [LIFETIME, ("Content-Range", "bytes 0-7/100")]
    for status in ["206 Partial Content", "200 OK"]:
        assert not cache.reuses(headers, status, "/any/")


def test_nothing_is_stored_without_a_lifetime(cache):
    assert not cache.reuses()
    assert not cache.reuses([("ETag", '"1"'), ("Last-Modified", http_date(-100_000))])
    assert not cache.reuses(control("public"))
    assert not cache.reuses(control("must-revalidate"))


def test_the_lifetime_of_the_configuration(cache):
    assert cache.reuses(place="/valid/")
    assert cache.reuses(control("public"), place="/valid/")


FORBIDDEN = [
    ["no-store"], ["No-Store"], ["NO-STORE"], ["no-store, max-age=3600"], ["max-age=3600, no-store"],
    ["max-age=3600,no-store"], ["max-age=3600 , \tno-store"], [",,no-store,"],
    ["max-age=3600", "no-store"], ["no-store", "max-age=3600"], ["public, no-store, max-age=3600"],
    ["private"], ["PRIVATE, max-age=3600"], ["max-age=3600", "Private"], ["public, private"],
    ["s-maxage=3600, private"], ["max-age=3600, private, public"],
    ["no-cache"], ["No-Cache, max-age=3600"], ["max-age=3600", "no-cache"],
    ["s-maxage=3600, no-cache"], ["no-store=1, max-age=3600"], ["no-store=\"\", max-age=3600"],
    ['a="b,c", no-store, max-age=3600'], ['a="b\\"", private, max-age=3600'],
    ['max-age=3600, private="set-cookie", no-store'],
]  # fmt: skip


@pytest.mark.parametrize("values", FORBIDDEN, ids=", ".join)
@pytest.mark.parametrize("place", ["/", "/any/"])
def test_no_store_private_and_no_cache_outrank_any_lifetime(cache, values, place):
    assert not cache.reuses(control(*values), place=place)


@pytest.mark.parametrize("name", ["private", "no-cache", "no-store"])
def test_a_directive_is_no_part_of_a_quoted_string_or_of_another_name(cache, name):
    for value in [f'max-age=3600, ext="a, {name}"', f"max-age=3600, x-{name}",
                  f"max-age=3600, {name}x", f'max-age=3600, ext="\\", {name}"']:  # fmt: skip
        assert cache.reuses(control(value)), value


@pytest.mark.parametrize("name", ["private", "no-cache"])
def test_a_field_named_by_a_qualified_directive_is_never_reused(cache, name):
    value = f'max-age=3600, {name}="X-Secret, X-Other"'
    first, second, count = cache.twice([("X-Secret", "alice"), *control(value)])
    assert first.header("X-Secret") == "alice"
    assert count == 2 or second.header("X-Secret") is None


def test_must_understand_outranks_no_store_where_the_status_is_understood(cache):
    value = control("no-store, must-understand, max-age=3600")
    assert cache.reuses(value)
    assert cache.reuses(value, "404 X")
    assert not cache.reuses(value, "599 X")


@pytest.mark.parametrize("status", ["299 X", "499 X", "599 X"])
def test_must_understand_forbids_a_status_that_is_not_understood(cache, status):
    value = control("must-understand, max-age=3600")
    assert not cache.reuses(value, status)
    assert not cache.reuses(value, status, "/any/")


@pytest.mark.parametrize("place", ["/", "/any/"])
@pytest.mark.parametrize("name", ["Set-Cookie", "set-cookie", "SET-COOKIE"])
def test_an_answer_that_sets_a_cookie_is_not_stored(cache, place, name):
    first, second, count = cache.twice([LIFETIME, (name, "sessionid=alice")], place=place)
    assert count == 2 and first.header("Set-Cookie") == "sessionid=alice"


def test_public_does_not_make_a_cookie_everybodys(cache):
    assert not cache.reuses([*control("public, s-maxage=3600"), ("Set-Cookie", "a=b")])


@pytest.mark.parametrize("status", SUCCESSES + ERRORS)
def test_the_request_no_store_is_obeyed(cache, status):
    first = {"Cache-Control": "max-age=9, No-Store"}
    cache.answers([LIFETIME], status)
    target = cache.target()
    assert cache.get(target, first).body == b"answer 1"
    assert cache.get(target).body == b"answer 2"


@pytest.mark.parametrize("extra", [-1, 1, 5])
def test_an_incomplete_answer_is_not_stored(cache, extra):
    """Section 3.3; a body that is longer than Content-Length is cut there and nowhere else."""
    target = cache.target()
    cache.origin.answer = lambda asked: message(
        headers=[LIFETIME, ("Content-Length", "1000")], body=b"x" * (1000 + extra)
    )
    with cache.nginx.client() as client:
        try:
            body = client.get(target).body
        except Exception:
            body = None
    stored = cache.stored(target)
    if extra < 0:
        assert body is None and stored is None
    else:
        assert body == b"x" * 1000
        assert stored is None or stored.endswith(b"\r\n\r\n" + b"x" * 1000)

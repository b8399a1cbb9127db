"""RFC 9111 section 3.5: an answer to a request with Authorization is not stored, and none that is
stored answers one. With redis_cache_authorization on it is otherwise where public, s-maxage or
must-revalidate say so."""

import pytest
from support.raw import exchange, request_bytes
from support.site import LIFETIME, message, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {
        "/valid/": "redis_cache_valid any 1h;",
        "/control/": "redis_cache_request_control on;",
        "/on/": "redis_cache_authorization on;",
        "/on/valid/": "redis_cache_authorization on; redis_cache_valid any 1h;",
        "/on/r/": "redis_cache_authorization on; redis_cache_revalidate on;",
        "/on/ignored/": "redis_cache_authorization on; redis_cache_valid any 1h;"
        "redis_cache_ignore_headers Cache-Control;",
    }
    with site(tmp_path_factory.mktemp("site"), places) as cache:
        yield cache


ALICE, BOB = {"Authorization": "Basic YWxpY2U6eA=="}, {"Authorization": "Basic Ym9iOng="}
CONTROLS = ["max-age=3600", "public, max-age=3600", "s-maxage=3600", "max-age=3600, must-revalidate",
            "max-age=3600, proxy-revalidate", "immutable, max-age=3600"]  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("second", [ALICE, BOB, {}], ids=["same", "other", "none"])
@pytest.mark.parametrize("place", ["/", "/valid/"])
def test_an_answer_to_authorization_is_not_reused(cache, control, second, place):
    headers = [("Cache-Control", control)]
    first, response, count = cache.twice(headers, place=place, first=ALICE, second=second)
    assert count == 2
    assert first.cache == ("fwd=bypass", "bypass") or first.cache[1].startswith("authorization")


@pytest.mark.parametrize("value", ["", "Bearer x", "bearer", "Digest username=x"])
def test_any_scheme(cache, value):
    _, _, count = cache.twice([LIFETIME], first={"Authorization": value})
    assert count == 2


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION"])
def test_any_case(cache, name):
    _, _, count = cache.twice([LIFETIME], first={name: "Basic x"})
    assert count == 2


def test_a_stored_page_does_not_answer_authorization(cache):
    """The application decides what this visitor may see."""
    cache.answers([LIFETIME])
    target = cache.target()
    cache.get(target)
    assert cache.get(target, ALICE).body == b"answer 2"
    assert cache.get(target).body == b"answer 1"


def test_two_authorization_lines(cache):
    cache.answers([LIFETIME])
    target, host = cache.target(), f"127.0.0.1:{cache.nginx.port}"
    fields = [("Authorization", ""), ("Authorization", "Basic x")]
    responses = exchange(cache.nginx.port, request_bytes(target, host=host, headers=fields))
    assert responses[0].status in (200, 400)
    assert cache.stored(target) is None


def test_head_and_conditions_with_authorization(cache):
    cache.answers([LIFETIME, ("ETag", '"1"')])
    target = cache.target()
    cache.get(target)
    for method, headers in [
        ("HEAD", {}),
        ("GET", {"If-None-Match": '"1"'}),
        ("GET", {"Range": "bytes=0-1"}),
    ]:
        before = len(cache.asked(target))
        cache.get(target, {**ALICE, **headers}, method)
        assert len(cache.asked(target)) == before + 1
        for name, value in headers.items():
            assert cache.asked(target)[-1].header(name) == value


def test_only_if_cached_with_authorization(cache):
    """Nothing is looked up, so nothing is there; the application must not be asked."""
    cache.answers([LIFETIME])
    target = cache.target("/control/")
    cache.get(target)
    response = cache.get(target, {**ALICE, "Cache-Control": "only-if-cached"})
    assert response.status == 504 or response.body == b"answer 2"


def test_authorization_in_vary(cache):
    """Vary: Authorization lets pages of visitors without one be shared, and no other."""
    cache.answers([LIFETIME, ("Vary", "Authorization")])
    target = cache.target()
    assert cache.get(target).body == cache.get(target).body == b"answer 1"
    assert cache.get(target, ALICE).body == b"answer 2"
    assert cache.get(target, ALICE).body == b"answer 3"


@pytest.mark.parametrize("status", ["401 X", "407 X", "403 X"])
def test_a_challenge_is_not_stored(cache, status):
    headers = [LIFETIME, ("WWW-Authenticate", "Basic")]
    for place in ["/", "/valid/", "/on/"]:
        assert cache.reuses(headers, status, place) == (status == "403 X")


SHARED = ["public, max-age=3600", "s-maxage=3600", "max-age=3600, must-revalidate"]
OWN = ["max-age=3600", "max-age=3600, proxy-revalidate", 'max-age=3600, x="public"', "immutable"]
VISITORS = {"same": ALICE, "other": BOB, "none": {}}


@pytest.mark.parametrize("control", SHARED)
@pytest.mark.parametrize("first", VISITORS)
@pytest.mark.parametrize("second", VISITORS)
def test_what_is_for_everybody_is_reused(cache, control, first, second):
    headers = [("Cache-Control", control)]
    assert cache.reuses(headers, place="/on/", first=VISITORS[first], second=VISITORS[second])


def users(cache, *headers):
    """Every user has a page of his own, and so do those without a name."""
    cache.origin.answer = lambda asked: message(
        headers=headers, body=(asked.header("Authorization") or "nobody").encode()
    )


def own(visitor) -> bytes:
    return visitor.get("Authorization", "nobody").encode()


@pytest.mark.parametrize("control", OWN)
@pytest.mark.parametrize("place", ["/on/", "/on/valid/", "/on/r/"])
@pytest.mark.parametrize(
    "order", [[ALICE, BOB, {}], [{}, ALICE, BOB], [BOB, {}, ALICE]], ids=range(3)
)
def test_the_page_of_a_user_is_never_anothers(cache, control, place, order):
    users(cache, ("Cache-Control", control), ("ETag", '"1"'))
    target = cache.target(place)
    for visitor in order * 3:
        response = cache.get(target, visitor)
        assert response.body == own(visitor)
        assert b"Basic" not in (cache.stored(target) or b"")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("Cache-Control", "private"), "private"),
        (("Cache-Control", "no-store"), "no_store"),
        (("Set-Cookie", "a=b"), "set_cookie"),
        (("Vary", "Authorization"), "personal"),
        (("Vary", "*"), "vary_all"),
    ],
)
def test_for_everybody_lifts_no_other_prohibition(cache, more, reason):
    users(cache, ("Cache-Control", "public, max-age=3600"), more)
    target = cache.target("/on/")
    for visitor in [ALICE, BOB, ALICE]:
        response = cache.get(target, visitor)
        assert response.body == own(visitor) and response.cache[1].endswith(f"/{reason}")


def test_what_an_ignored_field_says_is_not_said(cache):
    users(cache, ("Cache-Control", "public"))
    target = cache.target("/on/ignored/")
    for visitor in [ALICE, BOB]:
        response = cache.get(target, visitor)
        assert response.body == own(visitor)
        assert response.cache[1] == "absent/authorization"


def test_a_page_for_those_without_a_name_stays_theirs(cache):
    """An answer that is for everybody takes its place."""
    users(cache, LIFETIME)
    target = cache.target("/on/")
    assert cache.get(target).body == b"nobody"
    response = cache.get(target, ALICE)
    assert response.body == own(ALICE) and response.cache[1] == "not_public/authorization"
    assert cache.get(target).cache == ("hit", "fresh")
    cache.answers([("Cache-Control", "public, max-age=3600")])
    everybodys = cache.get(target, ALICE).body
    assert [cache.get(target, visitor).body for visitor in [{}, BOB]] == [everybodys] * 2


def test_a_stale_page_is_confirmed_to_whom_it_may_be_sent(cache):
    for control, is_for_everybody in [("public", True), ("max-age=0", False)]:
        target = cache.target("/on/r/")
        fields = [("Cache-Control", f"{control}, max-age=0"), ("ETag", '"1"')]
        cache.answers(fields)
        cache.get(target)
        cache.answers(fields, "304 X")
        cache.get(target, ALICE)
        assert (cache.asked(target)[-1].header("If-None-Match") == '"1"') == is_for_everybody


def test_a_variant_is_judged_like_a_page(cache):
    for control, reused in [("public, max-age=3600", True), ("max-age=3600", False)]:
        cache.answers([("Cache-Control", control), ("Vary", "X-Kind")])
        target = cache.target("/on/")
        cache.get(target, {"X-Kind": "a"})
        cache.get(target, {**ALICE, "X-Kind": "a"})
        assert len(cache.asked(target)) == (1 if reused else 2)


def test_an_application_that_stores_by_itself_is_not_told_the_key(start_nginx, redis, origin):
    nginx = start_nginx(
        server=f"""
            location / {{
                redis_cache {redis.url};
                redis_cache_authorization on;
                redis_cache_status_header on;
                proxy_pass {origin.url};
            }}
        """
    )
    assert nginx.get("/", ALICE).cache[1] == "absent"
    assert origin.last.header("X-Redis-Cache-Key") is None
    nginx.get("/")
    assert origin.last.header("X-Redis-Cache-Key") is not None

"""RFC 9111 section 3.5: an answer to a request with Authorization is not stored, and none that is
stored answers one. A cache may do more where public, s-maxage or must-revalidate say so."""

import pytest
from support.raw import exchange, request_bytes
from support.site import LIFETIME, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {
        "/valid/": "redis_cache_valid any 1h;",
        "/control/": "redis_cache_request_control on;",
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
    assert not cache.reuses(headers, status)
    assert not cache.reuses(headers, status, "/valid/") or status == "403 X"

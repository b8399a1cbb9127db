"""redis_cache_invalidate: what a success of an unsafe method makes gone."""

import pytest
from support.origin import Answer
from support.pages import FRESH, settled


def login(nginx, origin):
    """A form at /login that sends everybody back to the front page."""
    redirect = Answer(b"", 302, {"Location": "/", "Content-Length": "0"})
    page = Answer(b"page", headers=FRESH)
    origin.answer = lambda asked: redirect if asked.method == "POST" else page
    for target in ("/", "/login"):
        assert settled(nginx, target).body == b"page"
        assert settled(nginx, target).cache[0] == "hit"
    assert settled(nginx, "/login", method="POST", body=b"x").status == 302
    return {target: settled(nginx, target).cache[0] == "hit" for target in ("/", "/login")}


@pytest.mark.parametrize(
    ("directive", "front", "target"),
    [
        ("", False, False),
        ("redis_cache_invalidate location;", False, False),
        ("redis_cache_invalidate target;", True, False),
        ("redis_cache_invalidate off;", True, True),
    ],
)
def test_what_stays(store, origin, directive, front, target):
    nginx = store(directive)
    assert login(nginx, origin) == {"/": front, "/login": target}


@pytest.mark.parametrize("value", ["on", "Location", "", "target off"])
def test_bad_values(check, value):
    passed, said = check(f"redis_cache_invalidate {value};")
    assert not passed and "redis_cache_invalidate" in said

"""Seven ways in which caches have given one visitor's page to another, each of which a framework had
to repair in 2026; and two visitors with sessions of their own, under every default."""

import time

import pytest
from support.origin import Answer

CACHED = ("Cache-Control", "max-age=600")


@pytest.fixture
def two_visitors(store, origin):
    """What a second visitor gets, after a first one, and how often the application was asked."""

    def two_visitors(answer, first, second, location=""):
        origin.answer = answer
        origin.requests.clear()
        nginx = store(location)
        nginx.get("/p", first)
        time.sleep(0.05)
        return nginx.get("/p", second).body, len(origin.requests)

    return two_visitors


def personal(*headers, status=200):
    """A page that shows whose it is."""

    def answer(asked):
        who = asked.header("Cookie") or asked.header("Authorization") or asked.header("X-Who")
        return Answer(f"page of {who}".encode(), status, list(headers))

    return answer


A, B = {"Cookie": "sessionid=a"}, {"Cookie": "sessionid=b"}


def test_vary_on_everything(two_visitors):
    for vary in ["*", "accept, *", "*, cookie"]:
        answer = personal(CACHED, ("Vary", vary))
        assert two_visitors(answer, A, B) == (b"page of sessionid=b", 2)


def test_a_session_cookie_without_vary(two_visitors):
    answer = personal(CACHED, ("Set-Cookie", "sessionid=new; HttpOnly"))
    assert two_visitors(answer, A, B) == (b"page of sessionid=b", 2)


def test_authorization(two_visitors):
    answer = personal(("Cache-Control", "max-age=600"))
    first, second = {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}
    assert two_visitors(answer, first, second) == (b"page of Bearer b", 2)
    assert two_visitors(answer, first, {}) == (b"page of None", 2)


@pytest.mark.parametrize("value", ["Private", "PRIVATE", 'max-age=9, pRiVaTe="x"', "No-Store"])
def test_private_in_any_case(two_visitors, value):
    answer = personal(("Cache-Control", f"max-age=600, {value}"))
    assert two_visitors(answer, A, B) == (b"page of sessionid=b", 2)


@pytest.mark.parametrize("vary", [" Cookie", "Cookie ", "\tCookie\t", "Accept ,  Cookie , X", " * "])
def test_blanks_around_the_names_of_vary(two_visitors, vary):
    answer = personal(CACHED, ("Vary", vary))
    assert two_visitors(answer, A, B) == (b"page of sessionid=b", 2)


@pytest.mark.parametrize("cookie", ["theme=dark", "_ga=1; x=y"])
def test_an_unrelated_cookie_of_the_request(two_visitors, cookie):
    """It does not make the cookie that the answer sets somebody else's."""
    answer = personal(CACHED, ("Set-Cookie", "sessionid=new"))
    body, asked = two_visitors(answer, {"Cookie": cookie}, B)
    assert (body, asked) == (b"page of sessionid=b", 2)


def test_an_absent_header_and_an_empty_one(two_visitors):
    answer = personal(CACHED, ("Vary", "X-Who"))
    assert two_visitors(answer, {}, {"X-Who": ""}) == (b"page of ", 2)
    assert two_visitors(answer, {"X-Who": ""}, {}) == (b"page of None", 2)


# What an application that knows of no shared cache may answer to who is logged in.
SESSION_PAGES = {
    "nothing said": [],
    "a cookie is renewed": [CACHED, ("Set-Cookie", "sessionid=x"), ("Vary", "Cookie")],
    "vary": [CACHED, ("Vary", "Cookie")],
    "private": [("Cache-Control", "private, max-age=600")],
    "no-cache": [("Cache-Control", "no-cache"), ("ETag", '"1"')],
    "etag": [("ETag", '"1"')],
}


@pytest.mark.parametrize("page", SESSION_PAGES)
@pytest.mark.parametrize(
    "location", ["", "redis_cache_revalidate on;", "redis_cache_valid any 1m;"]
)
def test_two_visitors_with_sessions(two_visitors, page, location):
    if "valid" in location and page in ("nothing said", "etag"):
        # A lifetime that the configuration gives is for pages that say nothing; the session
        # cookie is named beside it.
        location += "redis_cache_bypass $cookie_sessionid;"
    answer = personal(*SESSION_PAGES[page])
    for first, second in [(A, B), (B, A)]:
        wanted = f"page of {second['Cookie']}".encode()
        assert two_visitors(answer, first, second, location) == (wanted, 2)

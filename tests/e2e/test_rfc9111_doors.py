"""RFC 9111 in short at each door and on each engine: one test of sections 3, 3.5, 4.1, 4.2, 4.3, 4.4
and 5.2 each; the tables are in the files of those sections."""

import time

import pytest
from support.site import http_date, message

LIFETIME = ("Cache-Control", "max-age=3600")
TAG = ("ETag", '"1"')


@pytest.fixture
def ask(store, raw_origin):
    """`ask(...)`: one request after another; what each makes the cache write has its time."""
    nginx = store(
        "redis_cache_revalidate on; redis_cache_request_control on;",
        url=raw_origin.url,
        http="if_modified_since before;",
    )

    def ask(target="/p", headers=None, method="GET"):
        response = nginx.request(method, target, headers)
        time.sleep(0.03)
        return response

    ask.nginx = nginx
    return ask


@pytest.fixture
def answers(raw_origin):
    def answers(*headers, status="200 OK"):
        raw_origin.answer = lambda asked: message(
            status, headers, b"answer %d" % len(raw_origin.requests), asked.method
        )

    return answers


def test_storing_and_reusing(ask, answers, raw_origin):
    answers(LIFETIME, ("Age", "30"), ("X-Hop", "1"), ("Connection", "X-Hop"))
    ask()
    response = ask()
    assert response.body == b"answer 1" and int(response.header("Age")) in range(30, 35)
    assert response.header("X-Hop") is None and len(raw_origin.requests) == 1


@pytest.mark.parametrize("control", ["no-store", "private", "no-cache", "max-age=0", "foo"])
def test_what_must_not_be_reused(ask, answers, control):
    answers(("Cache-Control", control))
    ask()
    assert ask().body == b"answer 2"


def test_errors_cookies_and_authorization(ask, answers):
    for headers, status, request in [
        ([], "500 X", {}),
        ([], "404 X", {}),
        ([LIFETIME, ("Set-Cookie", "a=b")], "200 OK", {}),
        ([LIFETIME], "200 OK", {"Authorization": "Basic x"}),
        ([LIFETIME], "200 OK", {"Cache-Control": "no-store"}),
        ([LIFETIME], "206 X", {"Range": "bytes=0-7"}),
    ]:
        answers(*headers, status=status)
        first, second = ask("/p", request), ask("/p", request)
        assert first.body != second.body, (headers, status, request)


def test_vary(ask, answers, raw_origin):
    answers(LIFETIME, ("Vary", "Foo"))
    assert ask("/p", {"Foo": "1"}).body == ask("/p", {"Foo": "1"}).body == b"answer 1"
    assert ask("/p", {"Foo": "2"}).body == b"answer 2"
    assert ask("/p").body == b"answer 3"
    assert ask("/p", {"Foo": ""}).body == b"answer 4"
    assert ask("/p", {"Foo": "1"}).body == b"answer 1"


def test_each_variant_is_stored(ask, answers, raw_origin):
    answers(LIFETIME, ("Vary", "Foo"))
    for foo in ["1", "2", "1", "2"]:
        assert ask("/p", {"Foo": foo}).body == b"answer " + foo.encode()


def test_conditions(ask, answers, raw_origin):
    answers(LIFETIME, TAG, ("Last-Modified", http_date(-1000)))
    for headers in [
        {"If-None-Match": 'W/"1"'},
        {"If-None-Match": '"0", "1"'},
        {"If-Modified-Since": http_date(-5)},
    ]:
        response = ask("/p", headers)
        assert (response.status, response.body) == (304, b"")
    assert ask("/p", {"If-None-Match": '"0"', "If-Modified-Since": http_date(-5)}).status == 200
    assert ask("/p", {"Range": "bytes=0-1"}).status == 206
    head = ask("/p", method="HEAD")
    assert head.header("Content-Length") == "8" and head.cache == ("hit", "fresh")
    assert len(raw_origin.requests) == 1


def test_revalidation(ask, raw_origin):
    def answer(asked):
        number = len(raw_origin.requests)
        fields = [("Cache-Control", "no-cache"), TAG, ("X-Number", str(number))]
        return message(
            "304 X" if asked.header("If-None-Match") == TAG[1] else "200 OK", fields, b"page"
        )

    raw_origin.answer = answer
    for number in [1, 2, 3]:
        response = ask()
        assert (response.status, response.body) == (200, b"page")
        assert response.all("X-Number") == [str(number)]
    assert [asked.header("If-None-Match") for asked in raw_origin.requests] == [
        None,
        TAG[1],
        TAG[1],
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "FOO"])
def test_invalidation(ask, answers, raw_origin, method):
    answers(LIFETIME)
    ask("/p"), ask("/new"), ask("/other")
    answers(
        ("Location", "/new"), ("Content-Location", f"http://evil.example:{ask.nginx.port}/other")
    )
    ask("/p", method=method)
    answers(LIFETIME)
    assert ask("/p").body == b"answer 5" and ask("/new").body == b"answer 6"
    assert ask("/other").body == b"answer 3"


def test_requests_that_want_more(ask, answers):
    answers(LIFETIME, ("Age", "100"))
    assert ask("/p", {"Cache-Control": "only-if-cached"}).status == 504
    ask()
    assert (
        ask("/p", {"Cache-Control": "max-age=200, min-fresh=100, only-if-cached"}).body
        == b"answer 1"
    )
    for number, control in enumerate(["no-cache", "max-age=50", "min-fresh=3590"], 2):
        assert ask("/p", {"Cache-Control": control}).body == b"answer %d" % number

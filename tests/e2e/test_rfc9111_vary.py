"""RFC 9111 section 4.1: a stored answer with Vary is for requests whose named fields match; RFC
9110 section 12.5.5 for `*`."""

import gzip

import pytest
from support.raw import exchange, request_bytes
from support.site import LIFETIME, message, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {"/ignore/": "redis_cache_ignore_headers Vary;", "/gunzip/": "gunzip on;"}
    with site(tmp_path_factory.mktemp("site"), places) as cache:
        yield cache


def reuses(cache, vary, first, second, place="/"):
    headers = [
        LIFETIME,
        *[("Vary", value) for value in ([vary] if isinstance(vary, str) else vary)],
    ]
    return cache.reuses(headers, place=place, first=first, second=second)


SAME = [
    ("Foo", {"Foo": "1"}, {"Foo": "1"}),
    ("Foo", {}, {}),
    ("Foo", {"Foo": ""}, {"Foo": ""}),
    ("foo", {"FOO": "1"}, {"fOO": "1"}),
    ("Foo", {"Foo": "1", "Bar": "1"}, {"Foo": "1", "Bar": "2"}),
    ("Foo, Bar", {"Foo": "1", "Bar": "2"}, {"Bar": "2", "Foo": "1"}),
    ("Foo,Bar", {"Foo": "1"}, {"Foo": "1"}),
    (["Foo", "Bar"], {"Foo": "1", "Bar": "2"}, {"Foo": "1", "Bar": "2"}),
    (" Foo ,, ", {"Foo": "1"}, {"Foo": "1"}),
    ("Foo", {"Foo": "a  "}, {"Foo": "  a"}),
    ("Foo, foo, FOO", {"Foo": "1"}, {"Foo": "1"}),
    ("", {"Foo": "1"}, {"Foo": "2"}),
    ("User-Agent", {"User-Agent": "x"}, {"User-Agent": "x"}),
    ("Cookie", {}, {}),
    ("Origin", {"Origin": "http://a"}, {"Origin": "http://a"}),
]

OTHER = [
    ("Foo", {"Foo": "1"}, {"Foo": "2"}),
    ("Foo", {"Foo": "1"}, {}),
    ("Foo", {}, {"Foo": "1"}),
    ("Foo", {}, {"Foo": ""}),
    ("Foo", {"Foo": ""}, {}),
    ("Foo", {"Foo": "a"}, {"Foo": "A"}),
    ("foo", {"FOO": "1"}, {"fOO": "2"}),
    ("Foo, Bar", {"Foo": "1", "Bar": "2"}, {"Foo": "1", "Bar": "3"}),
    ("Foo, Bar", {"Foo": "1", "Bar": "2"}, {"Foo": "2", "Bar": "2"}),
    ("Foo, Bar", {"Foo": "1", "Bar": "2"}, {"Foo": "2", "Bar": "1"}),
    ("Foo, Bar", {"Foo": "12"}, {"Foo": "1", "Bar": "2"}),
    (["Foo", "Bar"], {"Foo": "1", "Bar": "2"}, {"Foo": "1", "Bar": "3"}),
    (["Foo", "Bar"], {"Foo": "1", "Bar": "2"}, {"Foo": "2", "Bar": "2"}),
    ("Foo", {"Foo": "1"}, {"Foo": "1, 1"}),
    ("Cookie", {"Cookie": "sessionid=alice"}, {"Cookie": "sessionid=bob"}),
    ("Cookie", {"Cookie": "sessionid=alice"}, {}),
    ("Origin", {"Origin": "http://a"}, {"Origin": "http://b"}),
    ("Accept", {"Accept": "text/html"}, {"Accept": "application/json"}),
    ("X-Forwarded-Proto", {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https"}),
    ("User-Agent", {"User-Agent": "x"}, {"User-Agent": "y"}),
    ("Referer", {"Referer": "http://a/"}, {"Referer": "http://b/"}),
    ("Accept-Language", {"Accept-Language": "de"}, {"Accept-Language": "en"}),
    ("Accept-Language", {"Accept-Language": "de"}, {"Accept-Language": "de, en"}),
    ("Accept-Language", {"Accept-Language": "de;q=0.5, en"}, {"Accept-Language": "de, en;q=0.5"}),
    ("Accept-Language", {}, {"Accept-Language": "de"}),
]


@pytest.mark.parametrize(("vary", "first", "second"), SAME)
def test_matching_fields_are_reused(cache, vary, first, second):
    assert reuses(cache, vary, first, second)


@pytest.mark.parametrize(("vary", "first", "second"), OTHER)
def test_fields_that_do_not_match_are_not_reused(cache, vary, first, second):
    """MUST NOT use that stored response without revalidation unless all nominated fields match."""
    assert not reuses(cache, vary, first, second)


def test_what_varies_on_the_cookie_of_its_request_is_kept_from_all_others(cache):
    """Storing it for that visitor alone would be allowed and is of no use."""
    for second in [{"Cookie": "a=1"}, {"Cookie": "a=2"}, {}]:
        first, response, count = cache.twice(
            [LIFETIME, ("Vary", "Cookie")], first={"Cookie": "a=1"}, second=second
        )
        assert count == 2 or second == {"Cookie": "a=1"}


STARS = ["*", " * ", "*, *", "Foo, *", "*, Foo", "*,Foo", ["Foo", "*"], ["*", "Foo"], "Foo,,*,"]


@pytest.mark.parametrize("vary", STARS, ids=str)
def test_a_member_star_always_fails_to_match(cache, vary):
    assert not reuses(cache, vary, {"Foo": "1"}, {"Foo": "1"})
    assert not reuses(cache, vary, {}, {})


NORMAL = [
    ("Accept-Encoding", {"Accept-Encoding": "gzip, br"}, {"Accept-Encoding": "gzip,br"}),
    ("Accept-Encoding", {"Accept-Encoding": "GZIP"}, {"Accept-Encoding": "gzip"}),
    ("Accept-Language", {"Accept-Language": "de, en"}, {"Accept-Language": "de,en"}),
    ("Accept-Language", {"Accept-Language": "DE"}, {"Accept-Language": "de"}),
]


@pytest.mark.parametrize(("vary", "first", "second"), NORMAL)
def test_fields_that_mean_the_same_match(cache, vary, first, second):
    assert reuses(cache, vary, first, second)


def test_lines_of_one_field_are_combined_in_their_order(cache):
    cache.answers([LIFETIME, ("Vary", "Foo")])
    target, port = cache.target(), cache.nginx.port

    def ask(*values):
        fields = [("Foo", value) for value in values]
        return exchange(port, request_bytes(target, host=f"127.0.0.1:{port}", headers=fields))[
            0
        ].body

    assert ask("1", "2") == b"answer 1"
    assert ask("1", "2") == b"answer 1"
    assert ask("2", "1") == b"answer 2"
    assert ask("1") == b"answer 3"
    assert ask("12") == b"answer 4"


def test_variants_live_beside_one_another(cache):
    cache.answers([LIFETIME, ("Vary", "Foo")])
    target = cache.target()
    for foo in ["1", "2", "3"]:
        assert cache.get(target, {"Foo": foo}).body == b"answer " + foo.encode()
    for foo in ["3", "1", "2"]:
        assert cache.get(target, {"Foo": foo}).body == b"answer " + foo.encode()
    assert cache.get(target, {"Foo": "4"}).cache[0] == "fwd=vary-miss"


def test_a_new_vary_counts_from_then_on(cache):
    """The newest stored answer says what to select by."""
    target = cache.target()
    cache.answers([LIFETIME, ("Vary", "Foo")])
    cache.get(target, {"Foo": "1", "Bar": "1"})
    cache.answers([LIFETIME, ("Vary", "Foo, Bar")])
    assert cache.get(target, {"Foo": "2", "Bar": "1"}).body == b"answer 2"
    assert cache.get(target, {"Foo": "2", "Bar": "2"}).body == b"answer 3"
    assert cache.get(target, {"Foo": "2", "Bar": "1"}).body == b"answer 2"


@pytest.mark.parametrize("second", [[], [("Vary", "Bar")], [("Vary", "*")]], ids=str)
def test_a_page_that_varies_no_longer(cache, second):
    """After the URI changed its mind the fields of each variant still match what is sent."""
    target = cache.target()
    cache.answers([LIFETIME, ("Vary", "Foo")])
    cache.get(target, {"Foo": "1"})
    cache.answers([LIFETIME, *second])
    assert cache.get(target, {"Foo": "2"}).body == b"answer 2"
    third = cache.get(target, {"Foo": "2"})
    assert third.body in (
        [b"answer 3"] if second == [("Vary", "*")] else [b"answer 2", b"answer 3"]
    )
    assert cache.get(target, {"Foo": "1"}).body != b"answer 1" or second == [("Vary", "*")]


def test_vary_is_sent_on_a_hit(cache):
    _, second, count = cache.twice([LIFETIME, ("Vary", "Foo"), ("Vary", "Bar")])
    assert count == 1
    assert ", ".join(second.all("Vary")) == "Foo, Bar"


def test_an_ignored_vary(cache):
    for vary in ["Foo", "*"]:
        assert reuses(cache, vary, {"Foo": "1"}, {"Foo": "2"}, "/ignore/")


CLIENTS = [("gzip", True), ("gzip;q=0", False), ("identity", False), ("*", True), (None, False),
           ("br", False), ("gzip;q=0.001", True), ("identity, gzip;q=0.0", False)]  # fmt: skip


@pytest.mark.parametrize(("accepts", "takes"), CLIENTS)
@pytest.mark.parametrize("vary", [[], [("Vary", "Accept-Encoding")]], ids=str)
@pytest.mark.parametrize("place", ["/", "/gunzip/"])
def test_a_coded_page_never_reaches_who_cannot_take_it(cache, accepts, takes, vary, place):
    coded = gzip.compress(b"coded")
    cache.origin.answer = lambda asked: (
        message(headers=[LIFETIME, *vary, ("Content-Encoding", "gzip")], body=coded)
        if asked.header("Accept-Encoding") == "gzip"
        else message(headers=[LIFETIME, *vary], body=b"plain")
    )
    target = cache.target(place)
    assert cache.get(target, {"Accept-Encoding": "gzip"}).body == coded
    response = cache.get(target, {"Accept-Encoding": accepts} if accepts else {})
    if response.header("Content-Encoding"):
        assert takes and response.body == coded
    else:
        assert response.body in (b"plain", b"coded")
    assert cache.get(target, {"Accept-Encoding": "gzip"}).body in (coded, b"plain")

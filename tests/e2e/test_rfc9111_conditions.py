"""RFC 9111 section 4.3.2 and RFC 9110 sections 13.1 and 13.2: conditions of clients on a stored page,
and on a miss, which fills the cache all the same."""

import time
from email.utils import formatdate

import pytest
from support.site import LIFETIME, http_date, message, site
from support.stored import fresh_line, key_of, page


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    # nginx's default, `exact`, is stricter than RFC 9110 section 13.1.3.
    places = {"/exact/": "if_modified_since exact;", "/off/": "if_modified_since off;"}
    with site(tmp_path_factory.mktemp("site"), places, http="if_modified_since before;") as cache:
        yield cache


def test_the_directive_of_nginx_decides_how_dates_are_compared(cache):
    for headers, status in [
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": LATER}, 200),
    ]:
        _, response, _ = cache.twice(PAGE, place="/exact/", second=headers)
        assert response.status == status


MODIFIED = http_date(-1000)
SAME, EARLIER, LATER = MODIFIED, http_date(-2000), http_date(-500)
PAGE = [LIFETIME, ("ETag", '"1"'), ("Last-Modified", MODIFIED), ("Content-Location", "/c"),
        ("Expires", http_date(3600)), ("Vary", "Foo")]  # fmt: skip

CONDITIONS = [
    ({"If-None-Match": '"1"'}, 304),
    ({"If-None-Match": 'W/"1"'}, 304),
    ({"If-None-Match": '"0", "1", "2"'}, 304),
    ({"If-None-Match": '"0","1"'}, 304),
    ({"If-None-Match": 'W/"0" , W/"1"'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"0"'}, 200),
    ({"If-None-Match": '"0, 1"'}, 200),
    ({"If-None-Match": '"a, \\"1", "b"'}, 200),
    ({"If-None-Match": "1"}, 200),
    ({"If-None-Match": ""}, 200),
    ({"If-Modified-Since": SAME}, 304),
    ({"If-Modified-Since": LATER}, 304),
    ({"If-Modified-Since": EARLIER}, 200),
    ({"If-Modified-Since": "no date"}, 200),
    ({"If-Modified-Since": ""}, 200),
    ({"If-None-Match": '"1"', "If-Modified-Since": EARLIER}, 304),
    ({"If-None-Match": '"0"', "If-Modified-Since": LATER}, 200),
    ({"If-None-Match": "*", "If-Modified-Since": EARLIER}, 304),
]


@pytest.mark.parametrize(("headers", "status"), CONDITIONS)
def test_a_condition_on_a_stored_page(cache, headers, status):
    _, response, count = cache.twice(PAGE, second=headers)
    assert count == 1 and response.status == status
    assert response.body == (b"answer 1" if status == 200 else b"")


@pytest.mark.parametrize(("headers", "status"), CONDITIONS)
def test_a_condition_on_a_miss(cache, headers, status):
    """The application is asked for the whole page, which is then stored; the client has its 304."""
    target = cache.target()
    cache.answers(PAGE)
    response = cache.get(target, headers)
    assert response.status == status
    assert response.body == (b"answer 1" if status == 200 else b"")
    again = cache.get(target)
    assert (again.status, again.body, again.cache) == (200, b"answer 1", ("hit", "fresh"))


@pytest.mark.parametrize(("headers", "status"), CONDITIONS)
def test_a_condition_of_a_head(cache, headers, status):
    target = cache.target()
    cache.answers(PAGE)
    cache.get(target)
    assert cache.get(target, headers, "HEAD").status == status


def test_a_304_has_the_fields_that_a_200_would_have(cache):
    """RFC 9110, 15.4.5: Content-Location, Date, ETag, Vary, Cache-Control and Expires."""
    first, response, count = cache.twice(PAGE, second={"If-None-Match": '"1"'})
    assert count == 1 and response.status == 304
    for name in ["Content-Location", "Date", "ETag", "Vary", "Cache-Control", "Expires"]:
        assert len(response.all(name)) == 1, name
        assert response.all(name) == first.all(name) or name == "Date", name
    assert response.header("Content-Length") is None


@pytest.mark.parametrize("status", ["301 X", "302 X", "404 X"])
def test_a_condition_changes_no_other_status(cache, status):
    """RFC 9110, 13.2.1: conditions are ignored where the answer would be no 2xx."""
    target = cache.target()
    cache.answers([*PAGE, ("Location", "/x")], status)
    for _ in range(2):
        for headers in [
            {"If-None-Match": "*"},
            {"If-None-Match": '"1"'},
            {"If-Modified-Since": LATER},
        ]:
            assert cache.get(target, headers).status == int(status[:3])


def test_a_page_without_validators(cache):
    target = cache.target()
    cache.answers([LIFETIME])
    for headers in [{"If-None-Match": '"1"'}, {"If-Modified-Since": http_date(-50)}]:
        for _ in range(2):
            assert cache.get(target, headers).status == 200


@pytest.mark.parametrize(
    ("place", "since", "status"),
    [
        ("/", -1000, 304), ("/", -500, 304), ("/", 0, 304), ("/", -1001, 200), ("/", -5000, 200),
        ("/exact/", -1000, 304), ("/exact/", -500, 200), ("/exact/", -1001, 200),
        ("/off/", -1000, 200),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_date_stands_for_a_missing_last_modified(cache, place, since, status, method):
    """4.3.2: where there is no Last-Modified the Date counts. No client is told a Last-Modified."""
    target = cache.target(place)
    now = time.time()
    dated = [LIFETIME, ("Date", formatdate(now - 1000, usegmt=True))]
    cache.answers(dated)
    cache.get(target)
    headers = {"If-Modified-Since": formatdate(now + since, usegmt=True)}
    response = cache.get(target, headers, method)
    assert response.status == status and len(cache.asked(target)) == 1
    assert response.header("Last-Modified") is None and response.cache == ("hit", "fresh")
    assert response.header("Date") == dated[1][1]
    tagged = cache.get(target, {**headers, "If-None-Match": '"0"'}, method)
    assert tagged.status == 200 and tagged.header("Last-Modified") is None


def test_when_it_was_stored_stands_for_a_missing_date(cache):
    target = cache.target()
    cache.redis.set(key_of(cache.nginx, target), page("stored", line=fresh_line(age=30)))
    for since, status in [(-60, 200), (-5, 304), (0, 304)]:
        response = cache.get(target, {"If-Modified-Since": http_date(since)})
        assert response.status == status and response.cache == ("hit", "fresh")


def test_a_date_changes_no_range_and_no_other_status(cache):
    now = time.time()
    date = formatdate(now - 1000, usegmt=True)
    cache.answers([LIFETIME, ("Date", date)])
    target = cache.target()
    cache.get(target)
    headers = {"If-Range": date, "Range": "bytes=0-1", "If-Modified-Since": http_date(-5000)}
    response = cache.get(target, headers)
    assert (response.status, response.body) == (200, b"answer 1")
    cache.answers([LIFETIME, ("Date", date)], "404 X")
    target = cache.target()
    for _ in range(2):
        assert cache.get(target, {"If-Modified-Since": http_date()}).status == 404


SPELLINGS = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]


@pytest.mark.parametrize("stored", SPELLINGS)
@pytest.mark.parametrize("asked", SPELLINGS)
def test_last_modified_in_every_form(cache, stored, asked):
    moment = time.gmtime(time.time() - 1000)
    value = time.strftime(stored, moment)
    for last_modified in [value, value.lower()]:
        fields = [LIFETIME, ("Last-Modified", last_modified)]
        headers = {"If-Modified-Since": time.strftime(asked, moment)}
        _, response, count = cache.twice(fields, place="/exact/", second=headers)
        assert count == 1 and response.status == 304


def test_if_match_and_if_unmodified_since_are_not_the_caches(cache):
    """4.3.2: a cache MUST NOT evaluate them; the application is asked."""
    target = cache.target()
    cache.answers(PAGE)
    cache.get(target)
    conditions = [{"If-Match": '"0"'}, {"If-Unmodified-Since": EARLIER}, {"If-Match": "*"}]
    for n, headers in enumerate(conditions, 2):
        response = cache.get(target, headers)
        assert (response.status, response.body) == (200, b"answer %d" % n)
    assert cache.get(target).body == b"answer 1"


@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
def test_other_conditions_reach_the_application_on_a_miss(cache, name):
    target = cache.target()
    value = '"0"' if name == "If-Match" else EARLIER
    cache.origin.answer = lambda asked: (
        message("412 X", [LIFETIME]) if asked.header(name) else message(headers=PAGE, body=b"page")
    )
    assert cache.get(target, {name: value}).status in (200, 412)
    assert cache.get(target).body == b"page"


@pytest.mark.parametrize("status", ["304 X", "412 X", "416 X"])
def test_an_answer_to_a_condition_is_no_page(cache, status):
    """An application that answers so all the same."""
    target = cache.target()
    cache.answers(PAGE, status)
    assert cache.get(target, {"If-None-Match": '"0"', "If-Match": '"0"'}).status == int(status[:3])
    assert cache.stored(target) is None


@pytest.mark.parametrize("headers", [{"If-None-Match": '"1"'}, {"If-Modified-Since": LATER}])
def test_conditions_reach_the_application_where_nothing_is_stored(cache, headers):
    """An application that stores nothing here answers its 304 by itself or a whole page; the
    client gets what its condition asks for."""
    target = cache.target()
    cache.answers([("Cache-Control", "private"), ("ETag", '"1"'), ("Last-Modified", MODIFIED)])
    response = cache.get(target, headers)
    assert response.status == 304 and cache.stored(target) is None


def test_a_post_keeps_its_conditions(cache):
    cache.answers()
    target = cache.target()
    cache.get(
        target,
        {"If-Match": '"a"', "If-None-Match": '"b"', "If-Modified-Since": SAME},
        "POST",
        body=b"x",
    )
    asked = cache.asked(target)[0]
    assert (asked.header("If-Match"), asked.header("If-None-Match")) == ('"a"', '"b"')
    assert (asked.header("If-Modified-Since"), asked.body) == (SAME, b"x")

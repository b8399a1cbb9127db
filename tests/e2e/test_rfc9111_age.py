"""RFC 9111 sections 4, 4.2.3 and 5.1: a stored answer is sent with Age; RFC 9110 section 6.6.1:
and with the Date of the application, or that of its arrival."""

import time
from email.utils import parsedate_to_datetime

import pytest
from support.raw import exchange, request_bytes
from support.site import LIFETIME, http_date
from support.stored import fresh_line, key_of, page


def age_on_a_hit(cache, *headers):
    _, second, count = cache.twice([LIFETIME, *headers])
    assert count == 1
    assert len(second.all("Age")) == 1
    return int(second.header("Age"))


def test_a_stored_answer_has_an_age(cache):
    """4: a cache MUST generate an Age header field when it answers from store."""
    assert age_on_a_hit(cache) in range(2)


@pytest.mark.parametrize(("values", "expected"), [
    (["0"], 0), (["30"], 30), (["0030"], 30), (["30", "9000"], 30), (["30, 9000"], 30),
    (["-30"], 0), (["30.5"], 0), (["x"], 0), (["30x"], 0), (['"30"'], 0), ([""], 0), (["+30"], 0),
])  # fmt: skip
def test_the_age_of_the_answer_is_added(cache, values, expected):
    """5.1: of a list the first member; a value that is no number is ignored."""
    age = age_on_a_hit(cache, *[("Age", value) for value in values])
    assert expected <= age <= expected + 2


@pytest.mark.parametrize("value", ["99999999999999999999999", "9223372036854775808", "2147483648",
                                   "7200, 0", "3600"])  # fmt: skip
def test_an_age_beyond_the_lifetime_is_stale(cache, value):
    assert not cache.reuses([LIFETIME, ("Age", value)])


def test_an_age_beyond_the_lifetime_on_the_first_of_two_lines(cache):
    assert not cache.reuses([LIFETIME, ("Age", "7200"), ("Age", "0")])


def test_an_age_of_spaces_is_trimmed(cache):
    assert age_on_a_hit(cache, ("Age", "  30\t")) in range(30, 33)


def test_the_age_grows(cache):
    target = cache.target()
    cache.redis.set(key_of(cache.nginx, target), page(line=fresh_line(age=40)))
    assert int(cache.get(target).header("Age")) in range(40, 43)


def test_an_old_date_makes_an_age(cache):
    """4.2.3: apparent_age."""
    assert age_on_a_hit(cache, ("Date", http_date(-50))) in range(50, 53)


def test_the_larger_of_date_and_age(cache):
    assert age_on_a_hit(cache, ("Date", http_date(-50)), ("Age", "20")) in range(50, 53)
    assert age_on_a_hit(cache, ("Date", http_date(-20)), ("Age", "50")) in range(50, 53)
    assert age_on_a_hit(cache, ("Date", http_date(500))) in range(3)


def test_the_time_that_an_answer_took_counts(cache):
    """4.2.3: corrected_age_value = age_value + response_delay, for an answer with an Age."""
    target = cache.target()
    cache.answers([LIFETIME, ("Age", "10")])
    fast = cache.origin.answer
    cache.origin.answer = lambda asked: time.sleep(1.1) or fast(asked)
    cache.get(target)
    cache.origin.answer = fast
    assert int(cache.get(target).header("Age")) >= 11


def test_the_date_of_the_application_is_kept(cache):
    date = http_date(-77)
    first, second, count = cache.twice([LIFETIME, ("Date", date)])
    assert count == 1 and second.all("Date") == [date]


def test_an_answer_without_a_date_gets_that_of_its_arrival(cache):
    """RFC 9110, 6.6.1: a recipient MUST record the time and append it if it caches the message."""
    _, second, count = cache.twice([LIFETIME, ("Date", None)])
    assert count == 1
    moment = parsedate_to_datetime(second.header("Date")).timestamp()
    assert abs(moment - time.time()) < 5
    assert b"\r\nDate: " in cache.stored(f"/t{next(cache.targets) - 1}")


def test_a_miss_has_the_age_of_the_application_or_none(cache):
    first, _, _ = cache.twice([LIFETIME])
    assert first.header("Age") is None
    first, _, _ = cache.twice([LIFETIME, ("Age", "30")])
    assert first.all("Age") == ["30"]


def test_an_age_on_304_206_and_head(cache):
    cache.answers([LIFETIME, ("ETag", '"1"'), ("Age", "30")])
    target = cache.target()
    cache.get(target)
    for method, headers, status in [("GET", {"If-None-Match": '"1"'}, 304),
                                    ("GET", {"Range": "bytes=0-1"}, 206), ("HEAD", {}, 200)]:  # fmt: skip
        response = cache.get(target, headers, method)
        assert response.status == status
        assert int(response.header("Age")) in range(30, 35)


def test_http_1_0_clients_get_an_age_too(cache):
    cache.answers([LIFETIME])
    target = cache.target()
    cache.get(target)
    host = f"127.0.0.1:{cache.nginx.port}"
    request = request_bytes(target, host=host, version="1.0")
    [response] = exchange(cache.nginx.port, request)
    assert response.cache == ("hit", "fresh") and response.header("Age") in ("0", "1")

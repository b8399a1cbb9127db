"""RFC 9111 sections 3.3 and 3.4, RFC 9110 section 14: a stored page answers ranges; a request for a
part that misses reaches the application as it is, and its answer is not stored. test_store_range.py
has the range that is the whole page."""

import re

import pytest
from support.site import LIFETIME, http_date, message

BODY = bytes(range(48, 123))
MODIFIED = http_date(-100_000)
PAGE = [LIFETIME, ("ETag", '"1"'), ("Last-Modified", MODIFIED)]


@pytest.fixture
def stored(cache):
    cache.answers(PAGE, body=BODY)
    target = cache.target()
    cache.get(target)
    return target


RANGES = [
    ("bytes=0-0", BODY[:1]), ("bytes=0-9", BODY[:10]), ("bytes=70-", BODY[70:]), ("bytes=-5", BODY[-5:]),
    ("bytes=-1000", BODY), ("bytes=10-1000", BODY[10:]), ("Bytes=0-9", BODY[:10]), ("bytes=74-74", BODY[74:]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "part"), RANGES)
def test_a_range_of_a_stored_page(cache, stored, value, part):
    response = cache.get(stored, {"Range": value})
    assert (response.status, response.body) == (206, part)
    assert response.header("Content-Length") == str(len(part))
    first = len(BODY) - len(part) if value not in ("bytes=0-0", "bytes=0-9", "Bytes=0-9") else 0
    assert response.header("Content-Range") == f"bytes {first}-{first + len(part) - 1}/{len(BODY)}"
    assert response.header("ETag") == '"1"' and response.cache == ("hit", "fresh")
    assert cache.get(stored).body == BODY


def test_two_ranges(cache, stored):
    response = cache.get(stored, {"Range": "bytes=0-1,10-11"})
    assert response.status in (200, 206)
    if response.status == 206:
        boundary = re.fullmatch(
            r"multipart/byteranges; boundary=(\S+)", response.header("Content-Type")
        )
        parts = response.body.split(b"--" + boundary[1].encode())
        assert [part.partition(b"\r\n\r\n")[2].strip() for part in parts[1:3]] == [
            BODY[:2],
            BODY[10:12],
        ]


@pytest.mark.parametrize("value", ["bytes=75-", "bytes=1000-2000"])
def test_a_range_that_cannot_be_satisfied(cache, stored, value):
    response = cache.get(stored, {"Range": value})
    assert response.status == 416 and response.header("Content-Range") == f"bytes */{len(BODY)}"
    assert cache.get(stored).body == BODY


@pytest.mark.parametrize(
    "value", ["lines=0-1", "bytes", "x", "bytes=", "bytes=a-b", "bytes=5-1", ""]
)
def test_a_range_of_another_unit_or_of_no_form(cache, stored, value):
    response = cache.get(stored, {"Range": value})
    assert (response.status, response.body) in [(200, BODY), (416, response.body)]
    assert response.status == 200 or value.startswith("bytes=")


IF_RANGE = [('"1"', 206), (MODIFIED, 206), ('"2"', 200), ('W/"1"', 200), (http_date(-200_000), 200),
            (http_date(-5), 200), ("x", 200)]  # fmt: skip


@pytest.mark.parametrize(("value", "status"), IF_RANGE, ids=range(len(IF_RANGE)))
def test_if_range(cache, stored, value, status):
    """RFC 9110, 13.1.5: the strong comparison, and the exact date."""
    response = cache.get(stored, {"Range": "bytes=0-9", "If-Range": value})
    assert (response.status, response.body) == (status, BODY[:10] if status == 206 else BODY)


def test_if_range_and_a_weak_tag(cache):
    cache.answers([LIFETIME, ("ETag", 'W/"1"')], body=BODY)
    target = cache.target()
    cache.get(target)
    response = cache.get(target, {"Range": "bytes=0-9", "If-Range": 'W/"1"'})
    assert (response.status, response.body) == (200, BODY)


def test_a_condition_comes_before_a_range(cache, stored):
    assert cache.get(stored, {"Range": "bytes=0-9", "If-None-Match": '"1"'}).status == 304
    assert cache.get(stored, {"Range": "bytes=0-9", "If-None-Match": '"2"'}).status == 206


def test_range_counts_for_get_alone(cache, stored):
    """RFC 9110, 14.2: MUST ignore Range with another method than GET."""
    response = cache.get(stored, {"Range": "bytes=0-9"}, "HEAD")
    assert response.status == 200
    assert response.header("Content-Length") == str(len(BODY))


def part_of(asked):
    headers = [*PAGE, ("Content-Range", f"bytes 0-9/{len(BODY)}")]
    if asked.header("Range") == "bytes=0-9":
        return message("206 Partial Content", headers, BODY[:10])
    return message(headers=PAGE, body=BODY)


def test_a_range_that_misses_reaches_the_application_untouched(cache):
    cache.origin.answer = part_of
    target = cache.target()
    for _ in range(2):
        headers = {"Range": "bytes=0-9", "If-Range": '"1"', "If-None-Match": '"x"'}
        response = cache.get(target, headers)
        assert (response.status, response.body) == (206, BODY[:10])
        assert response.header("Content-Range") == f"bytes 0-9/{len(BODY)}"
        for name, value in headers.items():
            assert cache.asked(target)[-1].header(name) == value
        assert cache.stored(target) is None
    assert cache.get(target).body == BODY
    assert cache.get(target).cache == ("hit", "fresh")


def test_the_whole_page_as_an_answer_to_a_range(cache):
    """An application that knows no ranges: the client gets what fits a 200, and what is stored, if
    it is, is the whole page."""
    cache.answers(PAGE, body=BODY)
    target = cache.target()
    response = cache.get(target, {"Range": "bytes=0-9"})
    assert (response.status, response.body) in [(200, BODY), (206, BODY[:10])]
    assert cache.stored(target) is None or cache.stored(target).endswith(BODY)
    assert cache.get(target).body == BODY


@pytest.mark.parametrize(
    "headers", [[], [("Content-Range", "bytes 0-9/75")], [("Content-Range", "x")]]
)
@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-9"}])
def test_a_206_is_never_stored(cache, headers, asked):
    cache.answers([*PAGE, *headers], "206 Partial Content", BODY[:10])
    target = cache.target()
    cache.get(target, asked)
    assert cache.stored(target) is None
    cache.answers(PAGE, body=BODY)
    assert cache.get(target).body == BODY


def test_a_416_of_the_application_is_not_stored(cache):
    cache.answers(PAGE, "416 X")
    target = cache.target()
    assert cache.get(target, {"Range": "bytes=900-"}).status == 416
    cache.answers(PAGE, body=BODY)
    assert cache.get(target).body == BODY


@pytest.mark.parametrize("status", ["203 X", "301 X", "300 X"])
def test_ranges_are_of_200_alone(cache, status):
    cache.answers(PAGE, status, BODY)
    target = cache.target()
    cache.get(target)
    response = cache.get(target, {"Range": "bytes=0-9"})
    assert (response.status, response.body) == (int(status[:3]), BODY)

"""`Range: bytes=0-`, which some players and crawlers always send, asks for the whole page: the
application is asked for it without Range, it is stored, and nginx answers the client's range."""

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.raw_origin import Reset
from support.site import LIFETIME, message

BODY = bytes(range(256)) * 600
TYPE = ("Content-Type", "application/octet-stream")
PAGE = [TYPE, LIFETIME, ("ETag", '"1"')]
WHOLE = {"Range": "bytes=0-"}
CONTENT_RANGE = f"bytes 0-{len(BODY) - 1}/{len(BODY)}"


def ranges(asked):
    """An application that answers every range by itself, and says so."""
    if asked.header("Range") is None:
        return Answer(BODY, headers=PAGE)
    return Answer(BODY[:9], 206, [*PAGE, ("Content-Range", f"bytes 0-8/{len(BODY)}")])


@pytest.fixture
def nginx(store, origin):
    origin.answer = ranges
    return store("redis_cache_revalidate on;")


def is_whole(response):
    assert (response.status, response.body) == (206, BODY)
    assert response.all("Content-Range") == [CONTENT_RANGE]
    assert response.all("Content-Length") == [str(len(BODY))]
    return True


@pytest.mark.parametrize("value", ["bytes=0-", "Bytes=0-"])
def test_a_range_that_is_the_whole_page_fills(nginx, origin, stored, value):
    response = nginx.get("/p", {"Range": value})
    assert is_whole(response) and response.cache[0] == "fwd=uri-miss"
    assert origin.last.header("Range") is None
    assert stored(nginx, within=2).endswith(BODY)
    whole = nginx.get("/p")
    assert (whole.status, whole.body, whole.cache) == (200, BODY, ("hit", "fresh"))
    again = nginx.get("/p", {"Range": value})
    assert is_whole(again) and again.cache == ("hit", "fresh")
    assert len(origin.requests) == 1
    assert nginx.logged(1)[0].endswith("w=queued")


OTHERS = [
    "bytes=0-499", "bytes=-0", "bytes=1-", "bytes=0-,5-9", "bytes= 0-", "bytes=0 -", "lines=0-", "bytes=", "",
]  # fmt: skip
PARTS = [
    *({"Range": value} for value in OTHERS),
    [("Range", "bytes=0-"), ("Range", "bytes=0-")],
    {**WHOLE, "If-Range": '"1"'},
    {"If-Range": '"1"'},
]


@pytest.mark.parametrize("headers", PARTS)
def test_any_other_range_is_left_to_the_application(nginx, origin, stored, headers):
    response = nginx.get("/p", headers)
    asked = origin.last
    for name, value in dict(headers).items():
        assert asked.header(name) == value
    assert response.status == (206 if asked.header("Range") is not None else 200)
    assert nginx.logged(1)[0].endswith("w=range")
    assert stored(nginx) is None


def test_an_answer_that_is_not_stored(nginx, origin, stored):
    private = [TYPE, ("Cache-Control", "private"), ("Accept-Ranges", "bytes")]
    origin.answer = lambda asked: Answer(BODY, headers=private)
    for _ in range(2):
        response = nginx.get("/p", WHOLE)
        assert is_whole(response) and response.cache[1] == "absent/private"
    assert stored(nginx) is None


@pytest.mark.parametrize("status", [203, 301, 404])
def test_another_status_has_no_ranges(nginx, origin, stored, status):
    origin.answer = lambda asked: Answer(BODY, status, [*PAGE, ("Location", "/x")])
    response = nginx.get("/p", WHOLE)
    assert (response.status, response.body) == (status, BODY)


def test_an_application_that_answers_206_all_the_same(nginx, origin, stored):
    part = [*PAGE, ("Content-Range", "bytes 0-8/9999")]
    origin.answer = lambda asked: Answer(BODY[:9], 206, part)
    response = nginx.get("/p", WHOLE)
    assert (response.status, response.body) == (206, BODY[:9])
    assert response.all("Content-Range") == ["bytes 0-8/9999"]
    assert stored(nginx) is None


def test_an_empty_page_has_no_range(nginx, origin, stored):
    origin.answer = lambda asked: Answer(b"", headers=[*PAGE, ("Accept-Ranges", "bytes")])
    for cache in ["fwd=uri-miss", "hit"]:
        response = nginx.get("/p", WHOLE)
        assert (response.status, response.body, response.cache[0]) == (200, b"", cache)
        assert response.all("Accept-Ranges") == ["bytes"]
        assert stored(nginx, within=2)


def test_a_page_of_unknown_length(store, raw_origin, stored):
    parts = [BODY[:70_000], BODY[70_000:]]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    head = message(headers=[*PAGE, ("Transfer-Encoding", "chunked")])
    raw_origin.answer = lambda asked: head + chunks + b"0\r\n\r\n"
    nginx = store(app="proxy_http_version 1.1;", url=raw_origin.url)
    response = nginx.get("/p", WHOLE)
    assert (response.status, response.body) == (200, BODY)
    assert stored(nginx, within=2).endswith(BODY)
    assert is_whole(nginx.get("/p", WHOLE))


def test_a_page_that_is_cut_off(store, raw_origin, stored):
    head = message(headers=[*PAGE, ("Content-Length", str(len(BODY)))])
    raw_origin.answer = lambda asked: [head, BODY[:1000], Reset()]
    nginx = store(url=raw_origin.url)
    with pytest.raises(Exception, match="IncompleteRead|Connection"):
        nginx.get("/p", WHOLE)
    assert nginx.logged(1)[0].endswith("w=incomplete")
    assert stored(nginx) is None


@pytest.mark.parametrize(("tag", "status"), [('"1"', 304), ('"2"', 206)])
def test_a_condition_comes_before_the_range(nginx, origin, stored, tag, status):
    response = nginx.get("/p", {**WHOLE, "If-None-Match": tag})
    assert response.status == status
    assert origin.last.header("If-None-Match") is None and origin.last.header("Range") is None
    assert stored(nginx, within=2).endswith(BODY)


def test_a_stale_page_that_is_confirmed(nginx, origin):
    def answer(asked):
        if asked.header("If-None-Match") == '"1"':
            return Answer(b"", 304, PAGE)
        return Answer(BODY, headers=[TYPE, ("ETag", '"1"'), ("Cache-Control", "max-age=0")])

    origin.answer = answer
    assert is_whole(nginx.get("/p", WHOLE))
    wait_for(lambda: nginx.get("/p", WHOLE).cache[1] == "revalidated", "a confirmation")
    assert origin.last.header("Range") is None
    response = nginx.get("/p", WHOLE)
    assert is_whole(response) and response.cache == ("hit", "fresh")


def test_a_page_that_is_fetched_anew(nginx, origin):
    headers = [TYPE, ("ETag", '"1"'), ("Cache-Control", "max-age=0")]
    origin.answer = lambda asked: Answer(BODY, headers=headers)
    for _ in range(3):
        assert is_whole(nginx.get("/p", WHOLE))
        assert origin.last.header("Range") is None


def test_a_head_is_not_looked_at(nginx, origin, stored):
    assert nginx.request("HEAD", "/p", WHOLE).status == 206
    assert origin.last.header("Range") == "bytes=0-"
    assert stored(nginx) is None


def test_a_request_that_is_not_looked_up_keeps_its_range(store, origin, stored):
    origin.answer = ranges
    nginx = store("redis_cache_bypass $cookie_session;")
    response = nginx.get("/p", {**WHOLE, "Cookie": "session=1"})
    assert (response.status, response.body) == (206, BODY[:9])
    assert origin.last.header("Range") == "bytes=0-"
    assert nginx.request("POST", "/p", WHOLE, body=b"x").status == 206
    assert origin.last.header("Range") == "bytes=0-"


def test_a_page_made_of_parts(store, origin, stored):
    """The parts are asked for with the header of the main request, and stored as well."""
    parts = {"/p": b'[<!--# include virtual="/part" -->]', "/part": b"part"}
    headers = [("Content-Type", "text/html"), LIFETIME]
    origin.answer = lambda asked: Answer(parts[asked.target], headers=headers)
    nginx = store(server="ssi on;")
    for _ in range(2):
        response = nginx.get("/p", WHOLE)
        assert (response.status, response.body) == (200, b"[part]")
        for target, body in parts.items():
            assert stored(nginx, target, within=2).endswith(body)
    assert [asked.header("Range") for asked in origin.requests] == [None, None]


def test_a_page_that_nginx_encodes(store, origin, stored):
    origin.answer = lambda asked: Answer(BODY, headers=PAGE)
    nginx = store(server="gzip on; gzip_types *; gzip_comp_level 1;")
    response = nginx.get("/p", {**WHOLE, "Accept-Encoding": "gzip"})
    assert (response.status, response.header("Content-Encoding")) == (200, "gzip")
    assert stored(nginx, within=2).endswith(BODY)
    assert is_whole(nginx.get("/p", WHOLE))


@pytest.mark.parametrize("how", ["error_page", "X-Accel-Redirect"])
def test_another_location_that_answers(store, origin, stored, tmp_path, how):
    (tmp_path / "file").write_bytes(BODY)
    headers = [("X-Accel-Redirect", "/file")] if how == "X-Accel-Redirect" else []
    origin.answer = lambda asked: Answer(b"", 200 if headers else 404, headers)
    nginx = store(
        app="proxy_intercept_errors on; error_page 404 =200 /file;",
        locations=f"location = /file {{ internal; root {tmp_path}; }}",
    )
    response = nginx.get("/p", WHOLE)
    assert response.status in (200, 206) and response.body == BODY
    assert stored(nginx) is None


def test_ranges_that_nginx_is_told_not_to_answer(store, origin, stored):
    origin.answer = ranges
    nginx = store(server="max_ranges 0;")
    response = nginx.get("/p", WHOLE)
    assert (response.status, response.body) == (200, BODY)
    assert stored(nginx, within=2).endswith(BODY)

"""RFC 9111 section 3 and RFC 9110 section 15.2: interim answers are not stored and do not pass for the
final one; RFC 9211: what Cache-Status says of each."""

import re
import subprocess
import time

import pytest
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.site import LIFETIME, message, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {"/any/": "redis_cache_valid any 1h;"}
    with site(tmp_path_factory.mktemp("site"), places, app="proxy_http_version 1.1;") as cache:
        yield cache


def read_some(cache, target):
    """One request, whatever comes of it: the first line of the answer, or the end."""
    with Raw(cache.nginx.port, timeout=1) as raw:
        raw.send(request_bytes(target, host=f"127.0.0.1:{cache.nginx.port}"))
        try:
            raw.reader.readline()
        except TimeoutError:
            pass
    time.sleep(0.02)


INTERIM = [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n",
           b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
           b"HTTP/1.1 103 X\r\nCache-Control: max-age=3600\r\nContent-Length: 0\r\n\r\n"]  # fmt: skip


@pytest.mark.parametrize("interim", INTERIM)
@pytest.mark.parametrize("place", ["/", "/any/"])
@pytest.mark.parametrize("times", [1, 2])
def test_an_interim_answer_is_not_stored(cache, interim, place, times):
    """What nginx makes of it differs by version; the stored page, if any, is the final one."""
    target = cache.target(place)
    cache.origin.answer = lambda asked: interim * times + message(headers=[LIFETIME], body=b"final")
    read_some(cache, target)
    value = cache.stored(target)
    if value is not None:
        assert value.startswith(b"HTTP/1.1 200 OK\r\n") and value.endswith(b"\r\n\r\nfinal")
        assert b"preload" not in value
    cache.answers([LIFETIME])
    assert cache.get(target).status == 200


def nginx_version() -> tuple:
    told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(int(part) for part in re.search(r"nginx/([0-9.]+)", told)[1].split("."))


@pytest.fixture(scope="module")
def hinting(tmp_path_factory):
    """nginx with `early_hints`, which passes 103 on."""
    if nginx_version() < (1, 29, 0):
        pytest.skip("nginx before 1.29.0 has no early_hints")
    directives = "early_hints 1; redis_cache_revalidate on; redis_cache_keep 1h;"
    with site(tmp_path_factory.mktemp("site"), {"/hints/": directives}) as cache:
        yield cache


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Hint: 1\r\n\r\n"


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "headers", [[], [("If-None-Match", '"1"')], [("Range", "bytes=0-")]], ids=range(3)
)
def test_early_hints_pass_and_the_final_answer_is_stored(hinting, times, headers):
    target = hinting.target("/hints/")
    final = [LIFETIME, ("ETag", '"1"'), ("X-Final", "1")]
    hinting.origin.answer = lambda asked: HINTS * times + message(headers=final, body=b"final")
    host = f"127.0.0.1:{hinting.nginx.port}"
    with Raw(hinting.nginx.port) as raw:
        raw.send(request_bytes(target, host=host, headers=headers))
        response = raw.response()
        assert raw.interim == [103] * times
    assert (
        response.status == {0: 200, 1: 304, 2: 206}[len(headers) and 1 + (headers[0][0] == "Range")]
    )
    assert response.header("X-Hint") is None and response.header("Link") is None
    wait_for(lambda: hinting.stored(target), "the page to be stored")
    value = hinting.stored(target)
    assert value.endswith(b"\r\n\r\nfinal") and b"X-Hint" not in value and b"preload" not in value
    with Raw(hinting.nginx.port) as raw:
        raw.send(request_bytes(target, host=host))
        hit = raw.response()
        assert (raw.interim, hit.status, hit.body) == ([], 200, b"final")
    assert len(hinting.asked(target)) == 1


def test_early_hints_in_front_of_a_304(hinting):
    target = hinting.target("/hints/")
    fields = [("Cache-Control", "max-age=0"), ("ETag", '"1"')]
    hinting.answers(fields)
    hinting.get(target)
    hinting.origin.answer = lambda asked: HINTS + message("304 X", [LIFETIME, ("ETag", '"1"')])
    with Raw(hinting.nginx.port) as raw:
        raw.send(request_bytes(target, host=f"127.0.0.1:{hinting.nginx.port}"))
        response = raw.response()
        assert (raw.interim, response.status, response.body) == ([103], 200, b"answer 1")
    assert response.header("X-Hint") is None
    wait_for(lambda: b"max-age=3600" in hinting.stored(target), "the page to be renewed")
    assert b"X-Hint" not in hinting.stored(target)


@pytest.mark.parametrize("status", ["100 X", "101 X", "199 X"])
def test_a_final_status_of_1xx_is_not_stored(cache, status):
    target = cache.target("/any/")
    cache.origin.answer = lambda asked: message(status, [LIFETIME], b"x")
    read_some(cache, target)
    assert cache.stored(target) is None


@pytest.mark.parametrize(
    "status", ["000 X", "099 X", "600 X", "999 X", "20 X", "2000 X", "abc X", ""]
)
def test_a_status_of_no_class_is_not_stored(cache, status):
    target = cache.target("/any/")
    cache.origin.answer = lambda asked: message(status, [LIFETIME], b"x")
    read_some(cache, target)
    assert cache.stored(target) is None


def test_http_0_9_is_not_stored(cache):
    target = cache.target("/any/")
    cache.origin.answer = lambda asked: b"<html>plain</html>"
    read_some(cache, target)
    assert cache.stored(target) is None


def test_cache_status_of_a_miss_and_of_a_hit(cache):
    """RFC 9211, 2.1 to 2.4: exactly one of hit and fwd; stored and ttl are of this cache."""
    first, second, _ = cache.twice([LIFETIME])
    assert first.header("Cache-Status").startswith("nginx-redis-cache; fwd=uri-miss")
    assert "hit" not in first.header("Cache-Status")
    assert second.header("Cache-Status").startswith("nginx-redis-cache; hit; ttl=")
    assert "fwd" not in second.header("Cache-Status")


def test_the_ttl_is_what_remains(cache):
    _, second, count = cache.twice([LIFETIME, ("Age", "3000")])
    assert count == 1
    ttl = [p for p in second.header("Cache-Status").split("; ") if p.startswith("ttl=")]
    assert 590 <= int(ttl[0][4:]) <= 600


def test_the_applications_cache_status_stands_first(cache):
    """RFC 9211, 2: the member nearest to the origin comes first."""
    first, second, _ = cache.twice([LIFETIME, ("Cache-Status", "Origin; hit")])
    for response in [first, second]:
        members = ", ".join(response.all("Cache-Status")).split(", ")
        assert [member.partition(";")[0] for member in members] == ["Origin", "nginx-redis-cache"]
    assert b"nginx-redis-cache" not in cache.stored(cache.origin.last.target)

"""redis_cache_compress: a page is coded once, when it is stored, and serves every client, whatever it
takes; who coded it, this cache, the application or another writer, makes no difference."""

import gzip
import itertools
import os
import time

import brotli
import pytest
from support.ports import wait_for
from support.site import LIFETIME, message, site
from support.stored import fresh_line, key_of, page

HTML = ("Content-Type", "text/html; charset=utf-8")
BODY = b"".join(b'<li class="entry"><a href="/page/%d/">Page %d</a></li>\n' % (n, n) for n in range(400))
MODIFIED = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
DECODE = {"gzip": gzip.decompress, "br": brotli.decompress, None: bytes}
CODE = {"gzip": gzip.compress, "br": brotli.compress, None: bytes}
PLACES = {
    "/gzip/": "redis_cache_compress gzip;",
    "/br/": "redis_cache_compress br;",
    "/off/": "",
    "/revalidate/": "redis_cache_compress gzip; redis_cache_revalidate on;",
    "/vary/": "redis_cache_compress gzip;",
    "/types/": "redis_cache_compress gzip types=text/own,application/json min_length=0;",
    "/all/": "redis_cache_compress br level=11 types=*;",
    "/ssi/": "redis_cache_compress gzip; ssi on;",
    "/large/": "redis_cache_compress gzip;",
    "/small/": "redis_cache_compress gzip; redis_cache_max_size 16k;",
}


@pytest.fixture(scope="module", params=["event", "blocking"])
def cache(request, tmp_path_factory):
    with site(tmp_path_factory.mktemp("compress"), PLACES, io=request.param) as found:
        yield found


def head_and_body(value):
    head, _, body = value.partition(b"\r\n\r\n")
    return head.decode(), body


def fill(cache, place, headers=(), body=BODY, client=()):
    """Stores an answer; its target, and what lies in Redis."""
    cache.answers([LIFETIME, HTML, *headers], body=body)
    target = cache.target(place)
    response = cache.get(target, client)
    assert response.body == body and response.header("content-encoding") is None
    return target, head_and_body(wait_for(lambda: cache.stored(target), "the page"))


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_page_is_stored_coded(cache, coding):
    tags = [("ETag", '"1"'), ("Content-Digest", "sha-256=:AA==:"), ("Content-MD5", "AA==")]
    target, (head, body) = fill(cache, f"/{coding}/", tags)
    assert len(body) < len(BODY) / 3 and DECODE[coding](body) == BODY
    assert f"\r\nContent-Encoding: {coding}\r\n" in head + "\r\n"
    assert '\r\nETag: W/"1"\r\n' in head and "\r\nVary: Accept-Encoding" in head
    assert "coded=strong" in head and "Digest" not in head and "MD5" not in head
    first = cache.get(target, {"Accept-Encoding": f"x, {coding}"})
    assert first.cache[0] == "hit" and first.body == body
    assert first.header("content-encoding") == coding and first.header("etag") == 'W/"1"'
    assert first.header("accept-ranges") is None
    plain = cache.get(target)
    assert plain.cache[0] == "hit" and plain.body == BODY
    assert plain.header("content-encoding") is None and plain.header("etag") == '"1"'
    assert plain.header("vary") == first.header("vary") == "Accept-Encoding"
    assert plain.header("accept-ranges") == "bytes" and len(cache.asked(target)) == 1


ACCEPT = ["identity", "gzip", "br", "gzip, br", "gzip;q=0", "*", "identity;q=0", None, "gz;;q==,\t,"]
TAKES = {"gzip": {"gzip", "gzip, br", "*"}, "br": {"br", "gzip, br", "*"}, None: set()}
REQUESTS = {
    "GET": ("GET", {}),
    "HEAD": ("HEAD", {}),
    "Range": ("GET", {"Range": "bytes=10-19"}),
    "Range and If-Range": ("GET", {"Range": "bytes=10-19", "If-Range": '"1"'}),
    "Range and a weak If-Range": ("GET", {"Range": "bytes=10-19", "If-Range": 'W/"1"'}),
    "If-None-Match": ("GET", {"If-None-Match": '"0", "1"'}),
    "If-None-Match, weak": ("GET", {"If-None-Match": 'W/"1"'}),
    "If-None-Match of another": ("GET", {"If-None-Match": '"2"'}),
    "If-Modified-Since": ("GET", {"If-Modified-Since": MODIFIED[1]}),
}


def put(cache, target, stored, by):
    """Has a page stored in a coding by this cache, the application or another writer."""
    fields = [HTML, LIFETIME, MODIFIED, ("ETag", '"1"')]
    coded = [("Content-Encoding", stored)] if stored else []
    if by == "writer":
        value = page(CODE[stored](BODY), headers=[*fields, *coded], line=fresh_line())
        with cache.redis.client() as client:
            client.set(key_of(cache.nginx, target), value)
    elif by == "application":
        body = CODE[stored](BODY)
        cache.answers([*fields, *coded], body=body)
        assert cache.get(target, {"Accept-Encoding": "gzip"}).body == body
    else:
        cache.answers(fields, body=BODY)
        assert cache.get(target).body == BODY


@pytest.mark.parametrize("by", ["cache", "application", "writer"])
@pytest.mark.parametrize("stored", [None, "gzip", "br"])
def test_every_client_gets_its_form_of_one_page(cache, stored, by):
    place = "/off/" if by == "cache" and stored is None else f"/{stored or 'gzip'}/"
    if by == "application" and stored is None:
        place = "/types/"
    target = cache.target(place)
    put(cache, target, stored, by)
    value = wait_for(lambda: cache.stored(target), "the page")
    count = len(cache.asked(target))
    own = '"1"' if by == "cache" or stored is None else 'W/"1"'
    for accept, (name, (method, headers)) in itertools.product(ACCEPT, REQUESTS.items()):
        sent = {**headers, **({"Accept-Encoding": accept} if accept is not None else {})}
        found, case = cache.get(target, sent, method), (accept, name)
        assert found.cache[0] == "hit", case
        is_coded = accept in TAKES[stored] and "range" not in name.lower()
        tag = '"1"' if stored is None else own
        if is_coded:
            tag = 'W/"1"' if by == "cache" else '"1"'
        assert found.header("etag") == tag, case
        if stored is not None:
            assert found.header("vary") == "Accept-Encoding", case
        whole = DECODE[stored](value.partition(b"\r\n\r\n")[2])
        form = value.partition(b"\r\n\r\n")[2] if is_coded else whole
        if name in ("If-None-Match", "If-None-Match, weak", "If-Modified-Since"):
            assert (found.status, found.body) == (304, b""), case
            continue
        strong = not tag.startswith("W/")
        if name == "Range" or (name == "Range and If-Range" and strong):
            assert (found.status, found.body) == (206, BODY[10:20]), case
            assert found.header("content-range") == f"bytes 10-19/{len(BODY)}", case
        else:
            assert found.status == 200, case
            assert found.header("content-length") == str(len(form)), case
            assert found.body == (b"" if method == "HEAD" else form), case
        assert found.header("content-encoding") == (stored if is_coded else None), case
    assert cache.stored(target) == value and len(cache.asked(target)) == count


@pytest.mark.parametrize(
    "headers, body",
    [
        ([HTML], BODY[:1000]),
        ([("Content-Type", "image/png")], BODY),
        ([HTML, ("Cache-Control", "max-age=60, no-transform")], BODY),
        ([HTML], os.urandom(3000)),
        ([HTML, ("Content-Encoding", "zstd")], BODY),
    ],
    ids=["short", "another type", "no-transform", "noise", "coded"],
)
def test_what_is_left_alone(cache, headers, body):
    assert not is_coded(cache, "/gzip/", headers, body)


def is_coded(cache, place, headers, body):
    """Whether an answer is stored coded by this cache."""
    cache.answers([LIFETIME, *headers], body=body)
    target = cache.target(place)
    cache.get(target)
    head, stored = head_and_body(wait_for(lambda: cache.stored(target), "the page"))
    assert ("coded=" in head) == (stored != body)
    return stored != body


def test_types_levels_and_lengths(cache):
    def kind(name):
        return [("Content-Type", name)]

    assert is_coded(cache, "/types/", kind("text/OWN;a=b"), b"a" * 40)
    assert is_coded(cache, "/types/", kind("application/json"), b"a" * 40)
    assert not is_coded(cache, "/types/", kind("text/html"), BODY)
    assert is_coded(cache, "/all/", kind("image/png"), BODY)
    assert not is_coded(cache, "/all/", kind("image/png"), BODY[:1000])


def test_the_application_is_asked_for_what_suits_all(cache):
    cache.answers([LIFETIME, HTML, ("Vary", "Accept-Encoding")], body=BODY)
    for accept, asked in [
        ("br, gzip;q=0.5", "gzip"), ("br", None), (None, None), ("gzip", "gzip"), ("*", "gzip"),
        ("gzip;q=0", None),
    ]:  # fmt: skip
        target = cache.target("/gzip/")
        headers = {} if accept is None else {"Accept-Encoding": accept}
        assert cache.get(target, headers).body == BODY
        assert cache.origin.last.header("Accept-Encoding") == asked, accept
        for other in [{}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "br"}]:
            assert cache.get(target, other).cache[0] == "hit"
        assert len(cache.asked(target)) == 1
    # What is not stored reaches the application as it was sent.
    target = cache.target("/gzip/")
    cache.nginx.request("POST", target, [("Accept-Encoding", "br, zstd")])
    assert cache.origin.last.header("Accept-Encoding") == "br, zstd"


def test_other_fields_still_make_variants(cache):
    cache.answers([LIFETIME, HTML, ("Vary", "Accept-Language, Accept-Encoding")], body=BODY)
    target = cache.target("/vary/")
    for language, accept in itertools.product(["de", "en"], [None, "gzip", "br"]):
        headers = {"Accept-Language": language, "Accept-Encoding": accept}
        cache.get(target, {name: value for name, value in headers.items() if value})
    assert len(cache.asked(target)) == 2
    assert b'vary=("accept-language")' in cache.stored(target)


def test_a_page_is_confirmed_by_the_applications_own_tag(cache):
    target = cache.target("/revalidate/")
    fields = [("Cache-Control", "max-age=1"), HTML, ("ETag", '"1"')]
    cache.answers(fields, body=BODY)
    cache.get(target)
    for accept in ["gzip", None, "gzip"]:
        time.sleep(1.05)
        cache.answers([*fields, ("Repr-Digest", "sha-256=:AA==:")], status="304 Not Modified")
        response = cache.get(target, {"Accept-Encoding": accept} if accept else {})
        assert cache.origin.last.header("If-None-Match") == '"1"'
        assert response.status == 200 and response.header("vary") == "Accept-Encoding"
        assert DECODE[accept](response.body) == BODY
        assert response.header("etag") == ('W/"1"' if accept else '"1"')
        head, body = head_and_body(cache.stored(target))
        assert gzip.decompress(body) == BODY and "coded=strong" in head and "Digest" not in head
        assert head.count("ETag") == 1 and '\r\nETag: W/"1"' in head


def test_an_included_part_is_decoded(cache):
    part = cache.target("/ssi/")
    outer = cache.target("/ssi/")
    include = b"<!--# include virtual=\"%s\" -->" % part.encode()

    def answer(asked):
        body = BODY if asked.target == part else b"<html>" + include + b"</html>"
        return message(headers=[LIFETIME, HTML], body=body)

    cache.origin.answer = answer
    for _ in range(3):
        response = cache.get(outer, {"Accept-Encoding": "identity"})
        assert response.body == b"<html>" + BODY + b"</html>"
    assert len(cache.asked(part)) == len(cache.asked(outer)) == 1
    assert cache.origin.requests[-1].header("Accept-Encoding") is None


@pytest.mark.parametrize("size", [100_000, 1 << 20, 4 << 20])
def test_large_pages_are_coded_beside_the_event_loop(cache, size):
    body = (BODY * (size // len(BODY) + 1))[:size]
    cache.answers([LIFETIME, HTML], body=body)
    target = cache.target("/large/")
    assert cache.get(target).body == body
    wait_for(lambda: cache.stored(target), "the page")
    found = cache.get(target, {"Accept-Encoding": "gzip"})
    assert found.cache[0] == "hit" and gzip.decompress(found.body) == body
    assert cache.get(target).body == body


def test_the_decoded_form_counts_for_max_size(cache):
    cache.answers([LIFETIME, HTML], body=BODY)
    target = cache.target("/small/")
    assert len(BODY) > 16 << 10
    assert cache.get(target).cache == ("fwd=uri-miss", "absent/too_large")
    put(cache, target, "gzip", "writer")
    coded = cache.get(target, {"Accept-Encoding": "gzip"})
    assert coded.cache[0] == "hit" and gzip.decompress(coded.body) == BODY
    plain = cache.get(target)
    assert plain.body == BODY and plain.cache[1].startswith("too_large")


def broken(name):
    whole = gzip.compress(BODY)
    return {
        "cut": whole[:-20],
        "a wrong checksum": whole[:-8] + b"abcd" + whole[-4:],
        "a wrong length": whole[:-4] + b"\0\1\0\0",
        "trailing bytes": whole + b"<script>",
        "two members": whole + whole,
        "not gzip": BODY,
        "a bomb": gzip.compress(bytes(64 << 20)),
    }[name]


@pytest.mark.parametrize(
    "name",
    ["cut", "a wrong checksum", "a wrong length", "trailing bytes", "two members", "not gzip", "a bomb"],
)
def test_a_hostile_value_is_the_applications_to_answer(cache, name):
    target = cache.target("/gzip/")
    value = page(broken(name), headers=[HTML, ("Content-Encoding", "gzip")], line=fresh_line())
    with cache.redis.client() as client:
        client.set(key_of(cache.nginx, target), value)
    cache.answers([LIFETIME, HTML], body=BODY)
    response = cache.get(target)
    assert (response.status, response.body) == (200, BODY)
    assert response.cache[1].split("/")[0] in ("coding", "too_large"), response.cache
    assert (name == "a bomb") <= response.cache[1].startswith("too_large")


def test_a_damaged_page_is_replaced(cache):
    target = cache.target("/gzip/")
    value = page(broken("two members"), headers=[HTML, ("Content-Encoding", "gzip")], line=fresh_line())
    with cache.redis.client() as client:
        client.set(key_of(cache.nginx, target), value)
    cache.answers([LIFETIME, HTML], body=BODY)
    assert cache.get(target).body == BODY
    wait_for(lambda: cache.stored(target) != value, "another page")
    assert cache.get(target).cache[0] == "hit"
    assert gzip.decompress(cache.get(target, {"Accept-Encoding": "gzip"}).body) == BODY


def test_no_body_in_a_coding(cache):
    cache.answers([LIFETIME, HTML, ("Content-Encoding", "gzip")], body=b"")
    target = cache.target("/gzip/")
    assert cache.get(target).body == b""
    found = cache.get(target)
    assert (found.cache[0], found.body, found.header("Content-Encoding")) == ("hit", b"", None)


def test_what_is_not_to_be_transformed_has_variants_by_coding(cache):
    control = ("Cache-Control", "max-age=3600, no-transform")

    def answer(asked):
        takes = asked.header("Accept-Encoding") == "gzip"
        coded = [("Content-Encoding", "gzip")] if takes else []
        vary = ("Vary", "Accept-Language, Accept-Encoding")
        return message(headers=[control, HTML, vary, *coded], body=gzip.compress(BODY) if takes else BODY)

    cache.origin.answer = answer
    target = cache.target("/vary/")
    for _ in range(3):
        for accept, language in itertools.product([{}, {"Accept-Encoding": "gzip, br"}], ["de", "en"]):
            cache.get(target, {**accept, "Accept-Language": language})
    assert len(cache.asked(target)) <= 6
    assert cache.get(target, {"Accept-Language": "de"}).cache[0] == "hit"


@pytest.mark.parametrize("count", [90, 94, 95])
def test_a_header_with_room_for_no_more_lines(cache, count):
    cache.answers([LIFETIME, HTML, *((f"X-{n}", "x") for n in range(count))], body=BODY)
    target = cache.target("/gzip/")
    assert cache.get(target).body == BODY
    assert wait_for(lambda: cache.stored(target), "the page")
    assert cache.get(target).cache[0] == "hit"


def test_a_page_that_lies_there_uncoded_is_coded_when_it_is_confirmed(cache):
    target = cache.target("/revalidate/")
    fields = [("Cache-Control", "max-age=60"), HTML, ("ETag", '"1"')]
    value = page(BODY, headers=fields, line=fresh_line(fresh=1, age=5))
    with cache.redis.client() as client:
        client.set(key_of(cache.nginx, target), value, px=60_000)
    cache.answers(fields, status="304 Not Modified")
    assert cache.get(target).body == BODY
    head, body = head_and_body(wait_for(lambda: (v := cache.stored(target)) != value and v, "a page"))
    assert "coded=strong" in head and gzip.decompress(body) == BODY
    assert cache.get(target, {"Accept-Encoding": "gzip"}).body == body

"""redis_cache_use_stale: when the application fails, visitors get the page that was good a moment ago."""

import gzip

import pytest
from support.listener import Listener, cut
from support.origin import Answer
from support.ports import free_port, wait_for
from support.stored import fresh_line, key_of, page

ALL = "error timeout http_500 http_502 http_503 http_504 http_403 http_404 http_429"
HTML = ("Content-Type", "text/html; charset=utf-8")
BODY = b"<p>a page that was good</p>"
SOON = "proxy_read_timeout 300ms; proxy_connect_timeout 300ms;"


@pytest.fixture
def stale(redis):
    """`stale(nginx, target)`: a page has been stale for ten seconds."""

    def stale(nginx, target="/p", headers=(), extra="", body=BODY):
        line = fresh_line(fresh=60_000, age=70, extra=extra)
        redis.set(key_of(nginx, target), page(body, headers=[HTML, *headers], line=line))

    return stale


def fails(origin, status, body=b"out of order", headers=(HTML,)):
    origin.answer = lambda asked: Answer(body, status=status, headers=list(headers))


def is_stale(response, body=BODY):
    assert (response.status, response.body) == (200, body), response
    assert response.cache == ("fwd=stale", "use_stale"), response.header("Cache-Status")
    assert "; ttl=-1" in response.header("Cache-Status")
    assert int(response.header("Age")) >= 70
    assert response.all("Content-Type") == [HTML[1]]
    return True


@pytest.mark.parametrize("status", [500, 502, 503, 504, 403, 404, 429])
def test_each_status_has_its_word(store, origin, stale, status):
    fails(origin, status)
    nginx = store(f"redis_cache_use_stale http_{status};")
    stale(nginx)
    assert is_stale(nginx.get("/p"))
    other = store("redis_cache_use_stale error timeout;")
    stale(other)
    assert other.get("/p").status == status


def test_an_application_that_is_not_there(store, stale):
    nginx = store("redis_cache_use_stale error;", url=f"http://127.0.0.1:{free_port()}")
    stale(nginx)
    assert is_stale(nginx.get("/p"))
    assert nginx.get("/other").status == 502


def test_one_that_says_nothing(store, stale, silent):
    nginx = store("redis_cache_use_stale timeout;", app=SOON, url=f"http://127.0.0.1:{silent}")
    stale(nginx)
    assert is_stale(nginx.get("/p"))
    assert nginx.get("/other").status == 504


def test_one_that_hangs_up(store, stale):
    listener = Listener(lambda connection: cut([connection]))
    nginx = store("redis_cache_use_stale error;", url=f"http://127.0.0.1:{listener.port}")
    stale(nginx)
    assert is_stale(nginx.get("/p"))
    listener.close()


def test_stale_if_error_of_the_page_counts_by_itself(store, origin, stale):
    fails(origin, 503)
    nginx = store()
    stale(nginx, extra=", sie=60000")
    assert is_stale(nginx.get("/p"))
    stale(nginx, "/short", extra=", sie=5000")
    assert nginx.get("/short").status == 503
    fails(origin, 404)
    # For a second it is known that the application failed.
    wait_for(lambda: nginx.get("/p").status == 404, "the application to be asked")


@pytest.mark.parametrize("control", ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=60"])
def test_what_the_page_forbids(store, origin, stale, control):
    fails(origin, 503)
    nginx = store(f"redis_cache_use_stale {ALL};")
    stale(nginx, headers=[("Cache-Control", control)])
    assert nginx.get("/p").status == 503


def test_a_page_that_was_purged_is_gone(store, origin, redis, stale):
    nginx = store(f"redis_cache_use_stale {ALL}; redis_cache_purge on;")
    stale(nginx)
    assert nginx.request("PURGE", "/p").status == 200
    fails(origin, 503)
    assert nginx.get("/p").status == 503


def test_the_client_is_answered_as_from_any_page(store, origin, stale):
    fails(origin, 503)
    nginx = store(f"redis_cache_use_stale {ALL};")
    stale(nginx, headers=[("ETag", '"1"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")])
    assert nginx.get("/p", {"If-None-Match": '"1"'}).status == 304
    part = nginx.get("/p", {"Range": "bytes=3-7"})
    assert (part.status, part.body) == (206, BODY[3:8])
    head = nginx.request("HEAD", "/p")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", str(len(BODY)))
    with nginx.client() as client:
        for _ in range(3):
            assert is_stale(client.get("/p"))


def test_a_large_error_page_is_dropped(store, origin, stale):
    fails(origin, 500, body=b"trace" * 100_000)
    nginx = store(f"redis_cache_use_stale {ALL};")
    stale(nginx, body=BODY * 5000)
    with nginx.client() as client:
        for _ in range(3):
            assert client.get("/p").body == BODY * 5000


def test_the_stale_page_goes_before_an_error_page(store, origin, stale):
    fails(origin, 503)
    pages = "error_page 502 503 504 /sorry; proxy_intercept_errors on;"
    sorry = 'location = /sorry { internal; redis_cache off; return 503 "sorry"; }'
    nginx = store(f"redis_cache_use_stale {ALL};", server=pages, locations=sorry)
    stale(nginx)
    assert is_stale(nginx.get("/p"))
    assert (nginx.get("/other").status, nginx.get("/other").body) == (503, b"sorry")


def test_an_error_page_in_the_cached_location_itself(store, origin, stale):
    fails(origin, 503)
    pages = "error_page 503 /sorry; proxy_intercept_errors on;"
    nginx = store(f"redis_cache_use_stale {ALL};", server=pages)
    stale(nginx)
    assert is_stale(nginx.get("/p"))


def test_what_another_location_answers_is_the_answer(store, origin, stale):
    fails(origin, 503)
    pages = "error_page 503 = @backup; proxy_intercept_errors on;"
    backup = 'location @backup { redis_cache off; return 200 "backup"; }'
    nginx = store(f"redis_cache_use_stale {ALL};", server=pages, locations=backup)
    stale(nginx)
    assert nginx.get("/p").body == b"backup"


def test_validators_are_taken_back(store, origin, stale, redis):
    nginx = store(f"redis_cache_use_stale {ALL}; redis_cache_revalidate on;")
    stale(nginx, headers=[("ETag", '"1"')])
    fails(origin, 503)
    assert is_stale(nginx.get("/p", {"If-None-Match": '"2"'}))
    assert origin.last.header("If-None-Match") == '"1"'
    fails(origin, 304)
    wait_for(lambda: nginx.get("/p").cache[1].startswith("revalidated"), "the page to be confirmed")
    assert nginx.get("/p").body == BODY


def test_a_coded_page_in_its_form(store, origin, stale):
    fails(origin, 503)
    nginx = store(f"redis_cache_use_stale {ALL}; redis_cache_compress gzip;")
    coded = [("Content-Encoding", "gzip"), ("ETag", 'W/"1"'), ("Vary", "Accept-Encoding")]
    stale(nginx, headers=coded, extra=", coded=strong", body=gzip.compress(BODY))
    assert is_stale(nginx.get("/p"))
    found = nginx.get("/p", {"Accept-Encoding": "gzip"})
    assert gzip.decompress(found.body) == BODY and found.cache[1] == "use_stale"


def test_an_included_part(store, origin, stale):
    nginx = store(f"redis_cache_use_stale {ALL};", server="ssi on;")
    stale(nginx, "/part")

    def answer(asked):
        if asked.target == "/part":
            return Answer(b"out of order", status=503, headers=[HTML])
        return Answer(b'[<!--# include virtual="/part" -->]', headers=[HTML])

    origin.answer = answer
    assert nginx.get("/outer").body == b"[" + BODY + b"]"


def test_pages_are_kept_for_it(store, origin, redis, stored):
    origin.answer = lambda asked: Answer(BODY, headers=[HTML, ("Cache-Control", "max-age=1")])
    nginx = store("redis_cache_use_stale http_503; redis_cache_keep 1h;")
    assert nginx.get("/p").body == BODY
    assert stored(nginx, within=5)
    with redis.client() as client:
        assert 3500 < client.ttl(key_of(nginx, "/p")) <= 3601
    fails(origin, 503)
    wait_for(lambda: nginx.get("/p").cache[1] == "use_stale", "the page to be stale")


def test_where_the_application_stores_by_itself(serve, origin, stale):
    fails(origin, 503)
    nginx = serve(f"redis_cache_use_stale {ALL}; redis_cache_status_header on;")
    stale(nginx)
    assert is_stale(nginx.get("/p"))
    plain = serve("redis_cache_status_header on;")
    stale(plain, extra=", sie=60000")
    assert is_stale(plain.get("/p"))


def test_words(check, redis):
    location = f"location / {{ redis_cache {redis.url}; DIRECTIVE proxy_pass http://127.0.0.1:1; }}"
    for words, passes in [("off", True), (ALL, True), ("off error", False), ("http_501", False)]:
        passed, said = check(location.replace("DIRECTIVE", f"redis_cache_use_stale {words};"))
        assert passed == passes, said
    assert "http_429" in said

"""redis_cache_args: what is not in the key does not reach the application on a fill; whatever is not
filled reaches it as the client sent it."""

import pytest
from support.origin import Answer
from support.pages import FRESH, count, settled
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page

TRACKING = "redis_cache_args drop=tracking;"
CAMPAIGN = "utm_source=news&fbclid=x"


@pytest.fixture(autouse=True)
def _cacheable(cacheable):
    pass


def targets(origin):
    return [asked.target for asked in origin.requests]


def test_campaigns_share_one_page(store, origin, stored):
    nginx = store(TRACKING)
    first = settled(nginx, f"/p?id=7&{CAMPAIGN}")
    assert first.cache == ("fwd=uri-miss", "absent")
    for target in ("/p?id=7", "/p?utm_medium=mail&id=7", "/p?gclid=1&id=7&&msclkid"):
        response = settled(nginx, target)
        assert (response.body, response.cache[0]) == (b"app /p?id=7", "hit"), target
    assert targets(origin) == ["/p?id=7"]
    assert stored(nginx, "/p?id=7") is not None
    assert settled(nginx, "/p?id=8").cache[0] != "hit"


def test_the_log_keeps_what_was_sent(store, origin):
    nginx = store(TRACKING)
    for _ in range(2):
        settled(nginx, f"/p?{CAMPAIGN}")
    lines = nginx.logged(2)
    assert all(f"GET /p?{CAMPAIGN} 200" in line for line in lines), lines
    assert targets(origin) == ["/p"]


@pytest.mark.parametrize(
    ("parameters", "sent", "left"),
    [
        ("keep=page,q", "/p?x=1&page=2&y&q=a%20b&page=3", "/p?page=2&q=a%20b&page=3"),
        ("keep=page", "/p?x=1", "/p"),
        ("drop=a,b*", "/p?a=1&aa=2&b=3&bb=4&c=%26", "/p?aa=2&c=%26"),
        ("drop=tracking sort", "/p?b=2&a=1&utm_id=3&b=1", "/p?a=1&b=2&b=1"),
        ("sort", "/p", "/p"),
        ("sort", "/p?", "/p"),
        ("drop=tracking", "/p?a=1;utm_id=2", "/p?a=1;utm_id=2"),
        ("drop=tracking", "/p?UTM_id=2&%75tm_id=3", "/p?UTM_id=2&%75tm_id=3"),
        ("drop=tracking", "/a%2Fb/../p//?utm_id=1&q=/../", "/a%2Fb/../p//?q=/../"),
    ],
)
def test_byte_for_byte(store, origin, stored, parameters, sent, left):
    nginx = store(f"redis_cache_args {parameters};")
    with Raw(nginx.port) as client:
        client.send(request_bytes(sent, host=f"127.0.0.1:{nginx.port}"))
        assert client.response().status == 200
    assert targets(origin) == [left]
    assert stored(nginx, left, within=2) is not None


def test_every_place_where_nginx_keeps_the_query(store, origin):
    """Also where somebody has asked for it before."""
    nginx = store(
        f"{TRACKING} redis_cache_bypass $skip;",
        app="proxy_set_header X-Seen $request_uri|$args|$query_string|$arg_utm_id|$is_args;",
        http="map $request_uri $skip { ~never 1; }",
    )
    settled(nginx, "/p?a=1&utm_id=2")
    assert origin.requests[0].header("X-Seen") == "/p?a=1|a=1|a=1||?"
    settled(nginx, "/q?utm_id=2")
    assert origin.requests[1].header("X-Seen") == "/q||||"


def test_a_key_of_ones_own_is_made_of_what_is_left(store, origin, stored):
    nginx = store(f"{TRACKING} redis_cache_key $host$request_uri hash=none prefix=k:;")
    settled(nginx, f"/p?{CAMPAIGN}&a=1")
    assert stored(nginx, key="k:127.0.0.1/p?a=1") is not None
    assert settled(nginx, "/p?a=1").cache[0] == "hit"


def test_what_is_not_filled_stays_as_it_was_sent(store, origin, redis):
    nginx = store(f"{TRACKING} redis_cache_bypass $cookie_sessionid;")
    target = f"/p?{CAMPAIGN}"
    for request in (
        {"headers": {"Cookie": "sessionid=1"}},
        {"method": "HEAD"},
        {"headers": {"Authorization": "Basic eA=="}},
        {"headers": {"Range": "bytes=1-2"}},
        {"method": "POST", "body": b"x"},
    ):
        settled(nginx, target, **request)
        assert origin.last.target == target, request
    redis.pause()
    nginx.get(target)
    assert origin.last.target == target


def test_an_unsafe_method_invalidates_the_page_of_what_is_left(store, origin):
    nginx = store(TRACKING)
    assert [settled(nginx, "/p?a=1").cache[0] for _ in range(2)] == ["fwd=uri-miss", "hit"]
    settled(nginx, f"/p?{CAMPAIGN}&a=1", method="POST", body=b"x")
    assert origin.last.target == f"/p?{CAMPAIGN}&a=1"
    assert settled(nginx, "/p?a=1").cache == ("fwd=uri-miss", "gone")


def test_location_names_the_page_of_what_is_left(store, origin):
    nginx = store(TRACKING)
    settled(nginx, "/p?a=1")
    headers = {"Location": f"/p?{CAMPAIGN}&a=1", "Content-Length": "0"}
    origin.answer = lambda asked: Answer(b"", 303, headers)
    settled(nginx, "/other", method="POST", body=b"x")
    assert settled(nginx, "/p?a=1").cache[1].startswith("gone")


def test_an_application_that_stores_is_told_the_key_of_what_it_sees(serve, origin, redis):
    nginx = serve(f"{TRACKING} redis_cache_bypass $http_x_fresh;")
    nginx.get(f"/p?a=1&{CAMPAIGN}")
    assert origin.last.target == "/p?a=1"
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/p?a=1")
    nginx.get("/p?a=1", {"X-Fresh": "1"})
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/p?a=1")
    nginx.get(f"/p?a=1&{CAMPAIGN}", {"X-Fresh": "1"})
    assert origin.last.target == f"/p?a=1&{CAMPAIGN}"
    assert origin.last.header("X-Redis-Cache-Key") is None


def test_arguments_that_nginx_made_stay(start_nginx, redis, origin, stored):
    nginx = start_nginx(
        server=f"""
            root /nonexistent;
            location / {{ try_files $uri /index.php?q=$uri&$args; }}
            location = /index.php {{
                redis_cache {redis.url}; redis_cache_store on; redis_cache_args keep=a;
                redis_cache_timeout 2s; redis_cache_status_header on;
                proxy_pass {origin.url}/index.php$is_args$args;
            }}
        """,
    )
    settled(nginx, f"/p?a=1&{CAMPAIGN}")
    assert targets(origin) == ["/index.php?q=/p&a=1"]
    assert settled(nginx, "/p?fbclid=7&a=1").cache[0] == "hit"
    assert f"GET /p?a=1&{CAMPAIGN} 200" in nginx.logged(1)[0]


def test_an_error_page_sees_what_was_sent(store, origin, stored):
    origin.answer = lambda asked: Answer(b"no", 500, FRESH)
    nginx = store(
        TRACKING,
        app="proxy_intercept_errors on; error_page 500 = /error;",
        locations=f"location = /error {{ proxy_pass {origin.url}$request_uri; }}",
    )
    settled(nginx, f"/p?{CAMPAIGN}")
    assert targets(origin) == ["/p", f"/p?{CAMPAIGN}"]
    assert stored(nginx, "/p") is None


def test_parts_of_a_page(start_nginx, redis, origin, stored):
    """A subrequest's own query is rewritten, its main request's is not its business."""
    pages = {"/main": b'<!--# include virtual="/part?a=1&utm_id=2" -->', "/part": b"part"}
    origin.answer = lambda asked: Answer(pages[asked.target.partition("?")[0]], headers=FRESH)
    nginx = start_nginx(
        http="redis_cache_timeout 2s;",
        server=f"""
            location = /main {{ ssi on; ssi_types *; proxy_pass {origin.url}; }}
            location = /part {{ redis_cache {redis.url}; redis_cache_store on; {TRACKING}
                               proxy_pass {origin.url}; }}
        """,
    )
    assert settled(nginx, f"/main?{CAMPAIGN}").body == b"part"
    assert targets(origin) == [f"/main?{CAMPAIGN}", "/part?a=1"]
    assert stored(nginx, "/part?a=1", within=2) is not None
    assert settled(nginx, f"/main?{CAMPAIGN}").body == b"part"
    assert count(origin, "/part?a=1") == 1


def test_off_and_inherited(start_nginx, redis, origin):
    nginx = start_nginx(
        http=f"redis_cache_timeout 2s; {TRACKING}",
        server=f"""
            redis_cache {redis.url}; redis_cache_store on;
            location / {{ proxy_pass {origin.url}; }}
            location /all/ {{ redis_cache_args off; proxy_pass {origin.url}; }}
        """,
    )
    for target in ("/p?utm_id=1", "/all/p?utm_id=1"):
        nginx.get(target)
    assert targets(origin) == ["/p", "/all/p?utm_id=1"]


def test_a_hit_of_the_raw_form(serve, redis, origin):
    nginx = serve(f"{TRACKING} redis_cache_format raw; redis_cache_key $request_uri;")
    redis.set("/p?a=1", b"raw")
    assert nginx.get(f"/p?{CAMPAIGN}&a=1").body == b"raw"


def test_a_page_of_another_writer(serve, redis):
    nginx = serve(TRACKING)
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    assert nginx.get(f"/p?{CAMPAIGN}").body == b"stored"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "invalid number of arguments"),
        ("on", "drop=PATTERN"),
        ("drop=", "the name of a parameter"),
        ("drop=a,,b", "the name of a parameter"),
        ("drop=a&b", "the name of a parameter"),
        ("keep=a=b", "the name of a parameter"),
        ("sort sort", "duplicate"),
        ("drop=a drop=b", "duplicate"),
        ("off sort", "drop=PATTERN"),
        ("sorted", "drop=PATTERN"),
        ("keep=" + ",".join(f"n{n}" for n in range(65)), "may have 64"),
    ],
)
def test_bad_values(check, value, complaint):
    passed, said = check(f"redis_cache_args {value};")
    assert not passed and "redis_cache_args" in said and complaint in said

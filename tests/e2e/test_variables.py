"""The seven $redis_cache_* variables, in the access log and in headers, in the location that looks
up and in the one that answers instead."""

import re

import pytest
from support.stored import fresh_line, key_of, page

NAMES = ["uri", "status", "reason", "key", "age", "time", "server"]
ADD = "".join(f"add_header X-{name} $redis_cache_{name} always;" for name in NAMES)


def shown(response) -> dict:
    return {name: response.header(f"X-{name}") for name in NAMES}


def first_line(nginx) -> dict:
    """The variables as access.log shows them; an empty one is missing."""
    line = nginx.logged(1)[0]
    return dict(re.findall(r"\b([srkatv])=(\S+)", line))


def test_on_a_hit(serve, redis):
    nginx = serve(ADD)
    key = key_of(nginx, "/p?x=%41")
    redis.set(key, page(line=fresh_line(age=7)))
    values = shown(nginx.get("/p?x=%41"))
    time = values.pop("time")
    assert re.fullmatch(r"\d+\.\d{3,}", time) and float(time) < 1
    assert values.pop("age") in ("7", "8")
    assert values == {
        "uri": key.removeprefix("page:"), "status": "HIT", "reason": "fresh", "key": key,
        "server": redis.name,
    }  # fmt: skip
    line = first_line(nginx)
    assert (line["s"], line["r"], line["k"], line["v"]) == ("HIT", "fresh", key, redis.name)
    assert line["a"] in ("7", "8") and re.fullmatch(r"\d+\.\d{3,}", line["t"])


def test_on_a_miss_in_the_fallback(serve, redis):
    nginx = serve(app=ADD)
    values = shown(nginx.get("/p"))
    assert re.fullmatch(r"\d+\.\d{3,}", values.pop("time"))
    key = key_of(nginx, "/p")
    assert values == {
        "uri": key.removeprefix("page:"), "status": "MISS", "reason": "absent", "key": key,
        "server": redis.name, "age": None,
    }  # fmt: skip
    assert first_line(nginx)["r"] == "absent"


def test_on_an_expired_page(serve, redis):
    nginx = serve(app=ADD)
    redis.set(key_of(nginx, "/p"), page(line=fresh_line(fresh=1000, age=5)))
    values = shown(nginx.get("/p"))
    assert (values["status"], values["reason"]) == ("EXPIRED", "stale")


def test_on_a_bypass(serve, redis):
    nginx = serve("redis_cache_bypass $arg_x;", app=ADD)
    values = shown(nginx.get("/p?x=1"))
    assert (values["status"], values["reason"]) == ("BYPASS", "bypass")
    assert values["time"] is None and values["age"] is None and values["server"] is None
    values = shown(nginx.request("POST", "/p", body=b"x"))
    assert (values["status"], values["reason"]) == ("BYPASS", "method")


def test_on_a_fault(serve, redis):
    nginx = serve("redis_cache_breaker fails=1 timeout=1h;", app=ADD)
    redis.kill()
    values = shown(nginx.get("/p"))
    assert (values["status"], values["reason"]) == ("ERROR", "refused")
    assert values["key"] == key_of(nginx, "/p")
    assert shown(nginx.get("/p"))["reason"] == "breaker"


def test_where_nothing_was_looked_up(serve):
    nginx = serve(locations=f"location /plain {{ {ADD} return 200; }}")
    values = shown(nginx.get("/plain?x"))
    assert values.pop("uri") == f"http://127.0.0.1:{nginx.port}/plain?x"
    assert set(values.values()) == {None}
    assert "s= r= k= a= t= v=" in nginx.logged(1)[0]


def test_time_is_the_time_that_redis_took(serve, fake_redis):
    nginx = serve("redis_cache_timeout 80ms;", app=ADD, target=fake_redis.url)
    fake_redis.on_get = lambda conn, key: None
    assert 0.07 < float(shown(nginx.get("/p"))["time"]) < 0.5


def test_an_early_use_does_not_freeze_them(serve, redis):
    nginx = serve(
        f"{ADD} if ($redis_cache_status) {{ return 500; }} set $early $redis_cache_reason;",
        app=ADD,
    )
    redis.set(key_of(nginx, "/p"), page())
    assert shown(nginx.get("/p"))["status"] == "HIT"
    assert shown(nginx.get("/q"))["status"] == "MISS"


def test_uri_in_a_key_and_in_a_map(serve, redis):
    nginx = serve(
        "redis_cache_key $redis_cache_uri$device prefix=my:; add_header X-Key $redis_cache_key;",
        http='map $http_user_agent $device { default "|desktop"; ~Phone "|phone"; }',
    )
    uri = f"http://127.0.0.1:{nginx.port}/p"
    redis.set(f"my:{uri}|desktop", page("desktop"))
    redis.set(f"my:{uri}|phone", page("phone"))
    assert nginx.get("/p").body == b"desktop"
    assert nginx.get("/p", {"User-Agent": "Phone"}).body == b"phone"


@pytest.mark.parametrize("format", ["raw", "http"])
def test_server_of_a_unix_socket(serve, redis, format):
    nginx = serve(f"{ADD} redis_cache_format {format};", app=ADD, target=redis.unix_url)
    assert shown(nginx.get("/p"))["server"] == f"unix:{redis.socket}/1"

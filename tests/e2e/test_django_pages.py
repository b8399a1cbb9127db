"""The article's promise: the first request goes through Django, the second does not, and after a
purge it does again. Each answer of Django has the number of its run."""

import re

import pytest
from support.ports import wait_for

SITES = [
    pytest.param({"cache": cache, "is_async": kind == "async"}, id=f"{cache}, {kind}")
    for cache in ("django", "django-redis")
    for kind in ("sync", "async")
]

TARGETS = [
    "/page/", "/page/?", "/page/?x=1", "/page/?x=1&y=2", "/page/?y=2&x=1", "/page/%7Ejoe/",
    "/page/~joe/", "/page/%7ejoe/", "/page/%41/", "/page/A/", "/page/a;b=1/?a&b", "/page/(1)/?q=|",
    "/page/%C3%A4/?q=%c3%a4", "/page/x%2520y/", "/page/x+y/?q=a+b", "/page//?x",
]  # fmt: skip


def run(response) -> int:
    """Which run of a view a page comes from."""
    return int(re.search(rb"run (\d+)", response.body)[1])


def word(response) -> str:
    return response.cache[0]


@pytest.mark.parametrize("arguments", SITES)
@pytest.mark.parametrize("view", ["/page/", "/template/", "/async/", "/class/"])
def test_miss_hit_purge_miss(start_django, behind_nginx, arguments, view):
    site = start_django(**arguments)
    nginx = behind_nginx(site)
    first, second = nginx.get(view), nginx.get(view)
    assert (word(first), word(second)) == ("fwd=uri-miss", "hit")
    assert first.body == second.body
    assert run(first) == run(second) == 1
    for name in ("Content-Type", "ETag", "X-Content-Type-Options"):
        assert second.header(name) == first.header(name)
    assert second.header("Age") is not None
    not_modified = nginx.get(view, {"If-None-Match": second.header("ETag")})
    assert (not_modified.status, word(not_modified)) == (304, "hit")

    url = f"http://127.0.0.1:{nginx.port}{view}"
    assert nginx.request("POST", f"/purge/?url={url}").body == b"1"
    third, fourth = nginx.get(view), nginx.get(view)
    assert third.cache == ("fwd=miss", "gone") or word(third).startswith("fwd=")
    assert word(fourth) == "hit"
    assert run(third) == run(fourth) == 2


@pytest.mark.parametrize("arguments", SITES)
def test_the_raw_form(start_django, behind_nginx, arguments):
    site = start_django(options={"FORM": "raw"}, **arguments)
    nginx = behind_nginx(site, "redis_cache_format raw;")
    first, second = nginx.get("/page/?x=1"), nginx.get("/page/?x=1")
    assert (word(first), word(second)) == ("fwd=uri-miss", "hit")
    assert run(first) == run(second) == 1
    url = f"http://127.0.0.1:{nginx.port}/page/?x=1"
    assert nginx.request("POST", f"/purge/?url={url.replace('?', '%3F')}").body == b"1"
    assert run(nginx.get("/page/?x=1")) == 2
    assert word(nginx.get("/page/?x=1")) == "hit"


@pytest.mark.parametrize("arguments", SITES)
@pytest.mark.parametrize("form", ["http", "raw"])
def test_every_target_is_a_page_of_its_own(start_django, behind_nginx, arguments, form):
    """Also those that Django writes in another way than they were sent."""
    site = start_django(options={"FORM": form}, **arguments)
    nginx = behind_nginx(site, f"redis_cache_format {form};")
    runs = {}
    for target in TARGETS:
        first, second = nginx.get(target), nginx.get(target)
        assert first.status == second.status
        if first.status == 200:
            assert (target, word(second)) == (target, "hit")
            assert first.body == second.body
            runs[target] = run(first)
    assert len(set(runs.values())) == len(runs) >= len(TARGETS) - 2


@pytest.mark.parametrize("form", ["http", "raw"])
def test_dots_make_no_page_another(start_django, behind_nginx, form):
    """Django takes the target as it is for its views, but not for its URLs."""
    site = start_django(options={"FORM": form})
    nginx = behind_nginx(site, f"redis_cache_format {form};")
    dots = [nginx.get("/files/../page/") for _ in range(2)]
    assert [word(response) for response in dots] == ["fwd=uri-miss", "hit"]
    plain = nginx.get("/page/")
    assert plain.cache == ("fwd=uri-miss", "absent")
    assert run(plain) == 2


def test_without_nginx_nothing_is_stored(start_django, redis):
    from support.http import Client

    site = start_django()
    with Client(site.port) as client:
        assert client.get("/page/").status == 200
    with redis.client() as client:
        assert client.keys() == []


def test_what_is_not_stored_is_asked_for_each_time(start_django, behind_nginx):
    site = start_django()
    nginx = behind_nginx(site)
    for target in ("/unmarked/", "/cookie/", "/streaming/", "/never/", "/missing/",
                   "/vary-cookie/", "/vary/?value=*"):  # fmt: skip
        nginx.get(target)
        assert word(nginx.get(target)) == "fwd=uri-miss", target


def test_methods(start_django, behind_nginx):
    site = start_django()
    nginx = behind_nginx(site)
    assert word(nginx.request("HEAD", "/page/")) == "fwd=uri-miss"
    assert word(nginx.get("/page/")) == "fwd=uri-miss"
    head = nginx.request("HEAD", "/page/")
    assert (word(head), head.body) == ("hit", b"")
    posted = nginx.request("POST", "/class/", body=b"a=1")
    assert posted.body.startswith(b"POST")
    assert nginx.get("/class/").body.startswith(b"GET")


def test_tags_and_the_command(start_django, behind_nginx):
    site = start_django(cache="django-redis")
    nginx = behind_nginx(site)
    for name in ("a", "b"):
        nginx.get(f"/tagged/{name}/")
    assert site.manage("nginx_cache", "purge", "--tag", "tag-a") == "1 purged\n"
    assert word(nginx.get("/tagged/a/")) == "fwd=uri-miss"
    assert word(nginx.get("/tagged/b/")) == "hit"
    url = f"http://127.0.0.1:{nginx.port}/tagged/b/"
    assert "page, " in site.manage("nginx_cache", "show", url)
    assert site.manage("nginx_cache", "purge", url) == "1 purged\n"
    assert nginx.get("/tagged/b/").cache[1] == "gone"
    assert "fwd=uri-miss" in site.manage(
        "nginx_cache", "warm", f"http://127.0.0.1:{nginx.port}/tagged/c/"
    )
    assert word(nginx.get("/tagged/c/")) == "hit"


def test_redis_goes_and_comes_back(start_django, behind_nginx, redis):
    site = start_django(options={"TIMEOUT": 0.5})
    nginx = behind_nginx(site, "redis_cache_breaker off;")
    assert word(nginx.get("/page/")) == "fwd=uri-miss"
    redis.stop()
    assert [nginx.get("/page/").status for _ in range(3)] == [200] * 3
    redis.start()
    # nginx waits a moment before it connects again.
    wait_for(lambda: word(nginx.get("/page/")) == "hit", "a hit")


def test_one_of_two_nginx_fills_for_both(start_django, behind_nginx):
    """Clients reach both by the same name."""
    site = start_django()
    one, two = behind_nginx(site), behind_nginx(site)
    assert word(one.get("/page/", host="www.example.com")) == "fwd=uri-miss"
    assert word(two.get("/page/", host="www.example.com")) == "hit"


def test_a_hashed_key(start_django, behind_nginx, redis):
    site = start_django(options={"KEY_HASH": "sha256"})
    nginx = behind_nginx(site, "redis_cache_key $redis_cache_uri hash=sha256 prefix=page:;")
    nginx.get("/page/?x=%41")
    assert word(nginx.get("/page/?x=%41")) == "hit"
    with redis.client() as client:
        [key] = client.keys()
        assert f'key="http://127.0.0.1:{nginx.port}/page/?x=%41"'.encode() in client.get(key)

"""docs/migrating.md, step by step: each "after" block reads what the set-up before it left in
Redis, and leads to the application where that left nothing.

redis2-nginx-module and ngx_http_redis are in no Debian package, so their pages are written as they
expected them; set-misc and srcache are, and run here."""

import hashlib
import re

import pytest
from support.nginx import ROOT
from support.origin import Answer
from support.site import BUDGET
from support.stored import page

TEXT = (ROOT / "docs/migrating.md").read_text()
BODY = "<h1>H\u00e4llo</h1>".encode()
MODULES = "/usr/lib/nginx/modules"
HTTP = f"{BUDGET} redis_cache_status_header on;"


def section(title):
    return re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^## |^### |\Z)", TEXT, re.M | re.S)[1]


def blocks(title):
    return re.findall(r"```nginx\n(.*?)```", section(title), re.S)


def after(title, redis, application):
    """The block behind "After", with addresses of the test."""
    block = blocks(title)[-1]
    assert block.count("redis://127.0.0.1:6379/") == block.count("http://127.0.0.1:8000") == 1
    block = block.replace("redis://127.0.0.1:6379/", f"redis://127.0.0.1:{redis.port}/")
    return block.replace("http://127.0.0.1:8000", application)


def database(redis, title):
    number = re.search(r"redis_cache_pass +redis://[^/]+/(\d+);", blocks(title)[-1])[1]
    client = redis.client()
    client.select(int(number))
    return client


def md5_key(nginx, target):
    return ":1:" + hashlib.md5(f"127.0.0.1:{nginx.port}{target}".encode()).hexdigest()


RAW = {
    "Step 1: nginx": md5_key,
    "From redis2": md5_key,
    "From ngx_http_redis": lambda nginx, target: target.partition("?")[0],
    "From memcached_pass": lambda nginx, target: target,
}


@pytest.mark.parametrize("title", RAW)
def test_raw_pages(start_nginx, redis, origin, title):
    nginx = start_nginx(http=HTTP, server=after(title, redis, origin.url))
    with database(redis, title) as client:
        client.set(RAW[title](nginx, "/news/?page=2"), BODY)
    hit = nginx.get("/news/?page=2")
    assert (hit.cache[0], hit.status, hit.body) == ("hit", 200, BODY)
    assert hit.header("Content-Type").startswith("text/html")
    miss = nginx.get("/other/")
    assert (miss.cache[0], miss.body) == ("fwd=uri-miss", b"app GET /other/")
    assert nginx.request("POST", "/news/?page=2", body=b"a=1").body.startswith(b"app POST")
    redis.stop()
    assert nginx.get("/news/?page=2").body == b"app GET /news/?page=2"


def test_a_page_that_the_package_of_2014_wrote(start_nginx, redis, origin):
    """Key and value as they were recorded with Python 2.7."""
    nginx = start_nginx(http=HTTP, server=after("Step 1: nginx", redis, origin.url))
    redis.set(":1:c57f1bbc8a991653743dbfb9a0b25a70", BODY, ex=300)
    hit = nginx.get("/a/?b=1&c=%C3%A4", host="testserver")
    assert (hit.cache[0], hit.body) == ("hit", BODY)
    assert hit.header("Content-Type") == "text/html; charset=utf-8"
    assert nginx.get("/feed.xml", host="testserver").cache[0] == "fwd=uri-miss"


def test_a_pickle_of_2014_is_not_sent(start_nginx, redis, origin):
    nginx = start_nginx(http=HTTP, server=after("Step 1: nginx", redis, origin.url))
    redis.set(md5_key(nginx, "/t/"), b"\x80\x02cdjango.template.response\nTemplateResponse\nq.")
    assert nginx.get("/t/").cache[1] == "pickle"


def test_set_md5_makes_the_same_keys(start_nginx, redis, origin):
    """The lines of the article for the key, run by set-misc itself."""
    article = "\n".join(re.findall(r" *set.*;\n", blocks("Step 1: nginx")[0])[:2])
    assert "set_md5" in article
    assert "$redis_key" in article
    nginx = start_nginx(
        modules=f"load_module {MODULES}/ndk_http_module.so;"
        f"load_module {MODULES}/ngx_http_set_misc_module.so;",
        http=HTTP,
        server=f"""
            location /then/ {{ {article} add_header X-Key $redis_key; return 204; }}
            {after("Step 1: nginx", redis, origin.url)}
        """,
    )
    targets = ("/then/", "/then/%7Ejoe?x=%C3%A4&y=a+b", "/then/?", "/then/a%2Fb")
    for number, target in enumerate(targets, 1):
        key = nginx.get(target, host="Www.Example.com:8080").header("X-Key")
        redis.set(key, target)
        moved = target.replace("/then/", "/now/")
        wanted = ":1:" + hashlib.md5(f"Www.Example.com:8080{moved}".encode()).hexdigest()
        nginx.get(moved, host="Www.Example.com:8080")
        line = nginx.logged(2 * number)[-1]
        assert f"k={wanted} " in line
        assert key == ":1:" + hashlib.md5(f"Www.Example.com:8080{target}".encode()).hexdigest()


def test_the_package_of_today_with_the_settings_of_2014(start_nginx, start_django, redis):
    site = start_django(cache="article", options={"FORM": "raw"})
    nginx = start_nginx(http=HTTP, server=after("Step 1: nginx", redis, site.url))
    for target in ("/page/?b=1&c=%C3%A4", "/template/", "/unmarked/"):
        first, second = nginx.get(target), nginx.get(target)
        assert (first.cache[0], second.cache[0]) == ("fwd=uri-miss", "hit"), target
        assert first.body == second.body
        with redis.client() as client:
            assert client.get(md5_key(nginx, target)) == second.body
    for target in ("/cookie/", "/never/", "/csrf/"):
        assert [nginx.get(target).cache[0] for _ in range(2)] == ["fwd=uri-miss"] * 2


def test_both_forms_in_one_database(start_nginx, start_django, redis):
    """Step 3, while the old location is still there."""
    old = start_django(cache="article", options={"FORM": "raw"})
    new = start_django(cache="article")
    before = start_nginx(http=HTTP, server=after("Step 1: nginx", redis, old.url))
    now = start_nginx(http=HTTP, server=after("Step 3: whole pages", redis, new.url))
    for nginx in (before, now):
        answers = [nginx.get("/page/", host="www.example.com") for _ in range(2)]
        assert [answer.cache[0] for answer in answers] == ["fwd=uri-miss", "hit"]
    assert answers[1].header("ETag") == answers[0].header("ETag") is not None
    with redis.client() as client:
        assert len(client.keys()) == 2


def test_pages_that_srcache_stored(start_nginx, redis, origin):
    """srcache itself stores; its subrequest to Redis goes through the test's application."""
    stored = {}

    def answer(asked):
        if asked.method == "PUT":
            stored[asked.target] = asked.body
            return Answer(b"ok")
        headers = {"Content-Type": "text/html; charset=utf-8", "ETag": '"e"', "X-App": "1"}
        return Answer(BODY, headers=headers)

    origin.answer = answer
    srcache = start_nginx(
        modules=f"load_module {MODULES}/ndk_http_module.so;"
        f"load_module {MODULES}/ngx_http_srcache_filter_module.so;",
        server=f"""
            location / {{
                set           $key $request_uri;
                srcache_store PUT /redis2 key=$key&exptime=120;
                proxy_pass    {origin.url};
            }}
            location /redis2 {{ internal; proxy_pass {origin.url}; }}
        """,
    )
    assert srcache.get("/news/?page=2").body == BODY
    [value] = stored.values()
    assert value.startswith(b"HTTP/1.1 200 OK\r\n")

    nginx = start_nginx(http=HTTP, server=after("From srcache", redis, origin.url))
    with database(redis, "From srcache") as client:
        client.set("/news/?page=2", value)
        client.set("/varies", page(BODY, headers=[("Vary", "Cookie")]))
    hit = nginx.get("/news/?page=2")
    assert (hit.cache[0], hit.status, hit.body) == ("hit", 200, BODY)
    assert hit.header("Content-Type") == "text/html; charset=utf-8"
    assert hit.header("X-App") == "1"
    assert nginx.get("/varies").cache[1] == "vary"
    assert nginx.get("/other").cache[0] == "fwd=uri-miss"


def test_the_tables_name_directives_that_there_are():
    directives = (ROOT / "docs/directives.md").read_text()
    known = set(re.findall(r"^(?:### |- `\$)(redis_cache_\w+)", directives, re.M))
    named = set(re.findall(r"\bredis_cache_\w+", TEXT))
    assert named
    assert named <= known


@pytest.mark.parametrize(
    ("title", "prefix", "count"),
    [("From redis2", "redis2_", 10), ("From ngx_http_redis", "redis_", 7),
     ("From memcached_pass", "memcached_", 8), ("From srcache", "srcache_", 19)],
)  # fmt: skip
def test_every_directive_of_a_module_has_its_row(title, prefix, count):
    rows = re.findall(r"^\| (`.*?) \|", section(title), re.M)
    named = set(re.findall(rf"\b{prefix}(?!cache)\w+", " ".join(rows)))
    assert len(named) >= count, named

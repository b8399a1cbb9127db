"""`manage.py nginx_cache config`: nginx asks the Redis of the settings, be it one or many."""

import pytest
from conftest import ROOT, caches_of, run
from django.core.management import CommandError

from nginx_redis_cache.upstream import server_of_url


def config_settings(settings, url="redis://127.0.0.1:6379/1", **own):
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": url}}
    settings.ALLOWED_HOSTS = ["www.example.com"]
    settings.NGINX_REDIS_CACHE = own


def test_the_sample_is_what_config_prints(settings):
    config_settings(settings)
    assert run("config") == (ROOT / "nginx-conf/django.conf").read_text()


def test_config_for_other_settings(settings):
    config_settings(settings, KEY_PREFIX="site:", KEY_HASH="sha256")
    settings.ALLOWED_HOSTS = ["a.example", ".b.example"]
    settings.SESSION_COOKIE_NAME = "my.session"
    text = run("config", "--application", "http://127.0.0.1:9000")
    assert "server_name a.example .b.example;" in text
    assert "redis_cache_key      $redis_cache_uri hash=sha256 prefix=site:;" in text
    assert r"my\.session=" in text
    assert "proxy_pass       http://127.0.0.1:9000;" in text


def test_config_of_the_raw_form(settings):
    config_settings(settings, FORM="raw")
    text = run("config")
    assert "redis_cache_format   raw;" in text
    assert "redis_cache_key      $http_host$request_uri hash=md5 prefix=:1:;" in text


def test_config_shows_no_secret(settings):
    for own in ({}, {"URL": "redis://me:secretword@127.0.0.1:6379/3"}):
        config_settings(settings, "redis://me:secretword@127.0.0.1:6379/3", **own)
        text = run("config")
        assert "secretword" not in text
        assert "redis_cache_pass     redis://127.0.0.1:6379/3;" in text
        assert "redis_cache_username      me;" in text
        assert "redis_cache_password_file /etc/nginx/redis.password;" in text


@pytest.mark.parametrize(
    ("url", "nginx"),
    [
        ("redis://127.0.0.1", "redis://127.0.0.1/0"),
        ("redis://[::1]:6380/2", "redis://[::1]:6380/2"),
        ("redis://127.0.0.1:6379?db=4", "redis://127.0.0.1:6379/4"),
        ("unix:///run/redis/redis.sock?db=2", "unix:/run/redis/redis.sock?db=2"),
    ],
)
def test_urls_of_redis(settings, url, nginx):
    assert server_of_url(url).url == nginx
    config_settings(settings, url)
    text = run("config")
    assert nginx.replace("127.0.0.1/0", "127.0.0.1:6379/0") in text


FILES = "ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"
FILE_LINES = [
    "redis_cache_ssl_trusted_certificate /ca.pem;",
    "redis_cache_ssl_certificate /c.pem;",
    "redis_cache_ssl_certificate_key /k.pem;",
]
NO_VERIFICATION = "redis_cache_ssl_verify off;"


@pytest.mark.parametrize("of_cache", [True, False])
@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", []),
        (f"?{FILES}", FILE_LINES),
        ("?ssl_cert_reqs=none", [NO_VERIFICATION]),
        (f"?ssl_cert_reqs=required&{FILES}", FILE_LINES),
    ],
)
def test_tls(settings, of_cache, query, lines):
    url = f"rediss://me:secretword@h:6380/2{query}"
    config_settings(settings, *([url] if of_cache else []), **({} if of_cache else {"URL": url}))
    text = run("config")
    assert "redis_cache_pass     rediss://h:6380/2;" in text
    assert [line.strip() for line in text.splitlines() if "redis_cache_ssl" in line] == lines
    assert "redis_cache_username      me;" in text
    assert "secretword" not in text


def block(text):
    """The lines between the braces of the upstream that is printed, which the location names."""
    assert "redis_cache_pass     pages;" in text
    inside = text.split("redis_cache_upstream pages {")[1].split("}")[0]
    return [line.strip() for line in inside.strip().splitlines()]


TWO = ["redis://me:secretword@a:6379/1", "redis://b:6380/1"]
OF_TWO = [
    "server redis://a:6379/1;",
    "server redis://b:6380/1 replica;",
    "username me;",
    "password_file /etc/nginx/redis.password;",
    "read replica;",
]


@pytest.mark.parametrize("together", [False, True])
def test_several_locations(settings, kind, together):
    config_settings(settings)
    settings.CACHES = caches_of(kind, ",".join(TWO) if together else TWO)
    text = run("config")
    assert block(text) == OF_TWO
    assert "secretword" not in text


def test_several_locations_with_the_login_in_the_options(settings):
    config_settings(settings)
    options = {"username": "me", "password": "secretword"}
    settings.CACHES = caches_of("django", ["redis://a:6379/1", "redis://b:6380/1"], options)
    assert block(run("config")) == OF_TWO


def test_several_locations_with_tls(settings, kind):
    config_settings(settings)
    urls = [f"rediss://{host}:6379/0?{FILES}" for host in "ab"]
    settings.CACHES = caches_of(kind, urls)
    assert block(run("config")) == [
        "server rediss://a:6379/0;",
        "server rediss://b:6379/0 replica;",
        *(line.removeprefix("redis_cache_") for line in FILE_LINES),
        "read replica;",
    ]


@pytest.mark.parametrize(
    "other", ["redis://b/2", "redis://you@b/1", "redis://me:other@b/1", "rediss://b/1"]
)
def test_locations_that_do_not_agree(settings, other):
    config_settings(settings)
    settings.CACHES = caches_of("django", ["redis://me:word@a/1", other])
    with pytest.raises(CommandError, match="agree"):
        run("config")


def test_shards(settings):
    config_settings(settings)
    options = {"CLIENT_CLASS": "nginx_redis_cache.clients.ShardClient"}
    settings.CACHES = caches_of("django-redis", ["redis://a/1", "redis://b/1"], options)
    with pytest.raises(CommandError, match="ShardClient"):
        run("config")


def sentinel_settings(settings, url, **options):
    """django-redis keeps a pool of each URL, so each test has a URL of its own."""
    config_settings(settings)
    factory = "django_redis.pool.SentinelConnectionFactory"
    options = {
        "CLIENT_CLASS": "nginx_redis_cache.clients.SentinelClient",
        "CONNECTION_FACTORY": factory,
        "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
        "SENTINELS": [("10.0.0.1", 26379), ("::1", 26380)],
        **options,
    }
    settings.CACHES = caches_of("django-redis", url, options)
    settings.DJANGO_REDIS_CONNECTION_FACTORY = factory


SENTINELS = "sentinel main 10.0.0.1:26379 [::1]:26380;"


def test_sentinel(settings):
    sentinel_settings(settings, "redis://main/2")
    assert block(run("config")) == [SENTINELS, "db 2;"]


def test_sentinel_with_logins(settings):
    sentinel_settings(
        settings,
        "redis://me:secretword@main/0",
        SENTINEL_KWARGS={"username": "watcher", "password": "otherword"},
    )
    text = run("config")
    assert block(text) == [
        SENTINELS,
        "username me;",
        "password_file /etc/nginx/redis.password;",
        "sentinel_username watcher;",
        "sentinel_password_file /etc/nginx/sentinel.password;",
    ]
    assert "secretword" not in text
    assert "otherword" not in text


def test_sentinel_with_tls(settings):
    tls = {"ssl_ca_certs": "/ca.pem"}
    sentinel_settings(
        settings,
        "redis://main/3",
        CONNECTION_POOL_KWARGS={"ssl": True, **tls},
        SENTINEL_KWARGS={"ssl": True, **tls},
    )
    assert block(run("config")) == [
        SENTINELS,
        "db 3;",
        "ssl on;",
        "ssl_trusted_certificate /ca.pem;",
    ]


def test_sentinel_with_tls_in_places(settings):
    sentinel_settings(settings, "redis://main/4", SENTINEL_KWARGS={"ssl": True})
    with pytest.raises(CommandError, match="alike"):
        run("config")


def test_a_cluster(settings):
    config_settings(settings, URL="redis://me:secretword@h:7000", CLUSTER=True)
    text = run("config")
    assert block(text) == [
        "server redis://h:7000;",
        "cluster;",
        "username me;",
        "password_file /etc/nginx/redis.password;",
    ]
    assert "secretword" not in text
    config_settings(settings, URL=f"rediss://h:7000/0?{FILES}", CLUSTER=True)
    assert block(run("config"))[:2] == ["server rediss://h:7000;", "cluster;"]

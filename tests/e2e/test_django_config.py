"""What `manage.py nginx_cache config` prints for settings with more than one Redis passes `nginx -t`,
and asks the servers that Django asks."""

import re
import subprocess

import pytest
from support.django_site import DjangoSite
from support.nginx import MODULE
from support.ports import free_port

DJANGO = "django.core.cache.backends.redis.RedisCache"
DJANGO_REDIS = "django_redis.cache.RedisCache"
SENTINEL = {
    "CLIENT_CLASS": "nginx_redis_cache.clients.SentinelClient",
    "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
    "SENTINELS": [("127.0.0.1", 26379), ("127.0.0.2", 26379)],
    "SENTINEL_KWARGS": {"username": "watcher", "password": "secretword"},
}
TWO = ["redis://me:secretword@127.0.0.1:6379/1", "redis://127.0.0.2:6379/1"]


def cache(backend, location, **options):
    return {"CACHES": {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}}


SETTINGS = {
    "one": cache(DJANGO, TWO[0]),
    "query and cookies": {
        **cache(DJANGO, TWO[0]),
        "NGINX_REDIS_CACHE": {"ARGS": "drop=tracking,a* keep=b sort", "COOKIES": ["django_language"]},
    },
    "query and cookies in quotes": {
        **cache(DJANGO, TWO[0]),
        "NGINX_REDIS_CACHE": {
            "ARGS": 'drop=a;b,f[*,{c},"\\ sort', "COOKIES": ["#a", "$b", "'c", "d"],
        },
    },
    "tls": cache(DJANGO, "rediss://127.0.0.1:6379/1?ssl_ca_certs=CA&ssl_certfile=PEM&ssl_keyfile=KEY"),
    "locations": cache(DJANGO, TWO),
    "locations of django-redis": cache(DJANGO_REDIS, TWO),
    "locations with tls": cache(
        DJANGO, [f"rediss://{host}:6379/1?ssl_ca_certs=CA" for host in ("127.0.0.1", "127.0.0.2")]
    ),
    "sentinel": cache(DJANGO_REDIS, "redis://me:secretword@main/1", **SENTINEL),
    "cluster": {
        **cache(DJANGO, TWO[0]),
        "NGINX_REDIS_CACHE": {"URL": "redis://me:secretword@127.0.0.1:7000", "CLUSTER": True},
    },
}
CODE = """
from django.core.management import call_command
from django.test import override_settings
with override_settings(**{settings!r}):
    call_command("nginx_cache", "config", "--balancer", "10.0.0.0/8")
"""


@pytest.mark.parametrize("name", SETTINGS)
def test_nginx_takes_it(tmp_path, certificates, name):
    site = DjangoSite(tmp_path / "django", "redis://127.0.0.1:6379/1")
    text = site.manage(code=CODE.format(settings=SETTINGS[name]))
    assert "secretword" not in text
    files = {
        "/etc/nginx/redis.password": tmp_path / "password",
        "/etc/nginx/sentinel.password": tmp_path / "password",
        "/var/log/nginx": tmp_path,
        "modules/ngx_http_redis_cache_module.so": MODULE,
        " CA;": f" {certificates.authority.certificate};",
        " PEM;": f" {certificates.client.certificate};",
        " KEY;": f" {certificates.client.key};",
    }
    (tmp_path / "password").write_text("secretword")
    for there, here in files.items():
        text = text.replace(there, str(here))
    port = free_port()
    text = re.sub(r"\blisten 80\b", f"listen 127.0.0.1:{port}", text)
    (tmp_path / "nginx.conf").write_text(text)
    globals_ = f"error_log {tmp_path}/error.log; pid {tmp_path}/nginx.pid;"
    command = ["nginx", "-t", "-p", tmp_path, "-c", "nginx.conf", "-g", globals_]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr

"""`nginx -t` refuses every wrong configuration with a sentence that names the directive, the value
and what is allowed."""

import pytest
from support.checks import URL, location

# directive, wrong value, what the sentence must name beside both
WRONG_VALUES = [
    ("redis_cache_fallback", "app", "named location"),
    ("redis_cache_fallback", "@", "named location"),
    ("redis_cache_key", '""', "not empty"),
    ("redis_cache_key", "$uri hash=md4", "hash=md5|sha1|sha256|none"),
    ("redis_cache_key", "$uri hash", "hash=md5|sha1|sha256|none"),
    ("redis_cache_key", "$uri prefix=$host", "without variables"),
    ("redis_cache_key", "$uri other=1", "prefix=STRING"),
    ("redis_cache_format", "html", "http or raw"),
    ("redis_cache_format", "HTTP", "http or raw"),
    ("redis_cache_io", "threads", "blocking"),
    *[
        ("redis_cache_connections", value, "1 to 64")
        for value in ["0", "65", "-1", "x", "1k", "1.5", "99999999999999999999"]
    ],
    *[("redis_cache_queue", value, "1 to 1000000") for value in ["0", "1000001", "-1", "1m", "x"]],
    *[
        ("redis_cache_buffers", value, "64k to 64g")
        for value in ["0", "63k", "65g", "-1", "64kb", "x", "18446744073709551616"]
    ],
    *[
        (directive, value, "1ms to 1h")
        for directive in ["redis_cache_connect_timeout", "redis_cache_timeout"]
        for value in ["0", "0ms", "-1", "3601", "2h", "100mss", "x", "1.5s", "1d", '""']
    ],
    ("redis_cache_breaker", "fails=0", "1 to 1000000"),
    ("redis_cache_breaker", "fails=-1", "1 to 1000000"),
    ("redis_cache_breaker", "timeout=1s fails=x", "1 to 1000000"),
    ("redis_cache_breaker", "timeout=0", "1ms to 1h"),
    ("redis_cache_breaker", "on", "off"),
    ("redis_cache_breaker", "5", "fails=N"),
    *[("redis_cache_max_size", value, "512m") for value in ["0", "513m", "-1", "8mb", "x"]],
    ("redis_cache_username", '""', "name of a user"),
    ("redis_cache_password_file", "/does/not/exist", "cannot read"),
    ("redis_cache_status_header", "yes", "on or off"),
    ("redis_cache_status_header", "ON", "on or off"),
]


@pytest.mark.parametrize(("directive", "value", "allowed"), WRONG_VALUES)
def test_a_wrong_value(check, directive, value, allowed):
    passed, said = check(location(f"{directive} {value};"))
    assert not passed
    line = next(line for line in said.splitlines() if "[emerg]" in line)
    assert directive in line and allowed in line and "nginx.conf:" in line
    shown = value.split()[-1].strip('"')
    assert shown in line or shown.partition("=")[2] in line


URLS = [
    "127.0.0.1:6379", "http://h", "redis://", "redis:///1", "redis://h:99999", "redis://h:x",
    "redis://h/x", "redis://h/-1", "redis://h/1000000", "redis://h?db=1", "redis://h/1#x",
    "unix:relative", "unix:/p?db=x", "unix:/p?user=u", "rediss://", "rediss://h/x", "valkeys://h?db=1",
    "rediss+unix:///p", "tls://h",
    "redis://$host", "$backend", '""', "redis", "redis:", "redis:/h", "redis://[::1",
    "redis://h:0x1",
    "memcached://h",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_a_wrong_url(check, url):
    passed, said = check(location("", url=url))
    assert not passed
    line = next(line for line in said.splitlines() if "[emerg]" in line)
    assert '"redis_cache_pass"' in line
    # What stands where a password may stand is not repeated.
    assert f'"{url.strip(chr(34))}"' in line or url.partition(":")[0] + ":..." in line


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1", "redis://127.0.0.1:6399", "redis://localhost/3",
        "redis://[::1]:6399/1", "redis://:p%40ss@127.0.0.1", "redis://u:p@127.0.0.1/2",
        "unix:/tmp/x.sock",
        "unix:/tmp/x.sock?db=2", "unix:///tmp/x.sock?db=2", "redis+unix:///tmp/x.sock?db=2",
    ],
)  # fmt: skip
def test_a_right_url(check, url):
    passed, said = check(location("", url=url))
    assert passed, said


def test_a_name_that_does_not_resolve(check):
    passed, said = check(location("", url="redis://no-such-host.invalid"))
    assert not passed
    assert "cannot resolve no-such-host.invalid:6379:" in said


RIGHT = [
    "redis_cache_pass " + URL, "redis_cache_fallback @app", "redis_cache_key $uri hash=sha256",
    "redis_cache_format raw", "redis_cache_connections 4", "redis_cache_queue 10",
    "redis_cache_buffers 16m", "redis_cache_connect_timeout 10ms", "redis_cache_timeout 1s",
    "redis_cache_breaker fails=2", "redis_cache_breaker off", "redis_cache_max_size 1m",
    "redis_cache_username u", "redis_cache_status_header on",
]  # fmt: skip


@pytest.mark.parametrize("directive", RIGHT)
def test_a_duplicate(check, directive):
    twice = f"{directive}; {directive};"
    passed, said = check(f"location / {{ redis_cache_pass {URL}; {twice} }}")
    assert not passed
    assert f'"{directive.split()[0]}" is duplicate' in said


@pytest.mark.parametrize("directive", RIGHT)
def test_the_wrong_number_of_arguments(check, directive):
    name = directive.split()[0]
    passed, said = check(location(f"{name};"))
    assert not passed and name in said

"""`nginx -t` refuses what a redis_cache_upstream cannot mean, with a sentence that names the
directive; and takes what it can."""

import re

import pytest
from support.checks import APP, location
from support.upstream import upstream

A, B, C = (f"redis://127.0.0.1:{port}/1" for port in (6391, 6392, 6393))
SEED, SENTINEL = "redis://127.0.0.1:7001", "sentinel main 127.0.0.1:26379"

# block, words of the sentence: each a pattern
REFUSED = {
    "nothing to ask": ("", ["server", "sentinel"]),
    "settings and nothing to ask": ("timeout 1s;", ["server", "sentinel"]),
    "cluster without a seed": ("cluster;", ["cluster|server"]),
    "sentinel beside server": (f"server {A}; {SENTINEL};", ["sentinel", "server"]),
    "sentinel beside cluster": (f"{SENTINEL}; cluster;", ["sentinel|cluster"]),
    "all three": (f"{SENTINEL}; cluster; server {SEED};", ["sentinel|cluster"]),
    "replica in a cluster": (f"cluster; server {SEED} replica;", ["cluster", "replica"]),
    "weight in a cluster": (f"cluster; server {SEED} weight=2;", ["cluster", "weight"]),
    "backup in a cluster": (f"cluster; server {SEED} backup;", ["cluster", "backup"]),
    "a database in a cluster": (f"cluster; server {A};", ["cluster", "db|database|1"]),
    "cluster behind its servers": (f"server {A}; cluster;", ["cluster", "db|database|1"]),
    "a socket in a cluster": ("cluster; server unix:/tmp/x.sock;", ["cluster", "socket|unix"]),
    "a replica of several": (f"server {A}; server {B}; server {C} replica;", ["replica"]),
    "replica and backup": (f"server {A}; server {B} replica backup;", ["replica", "backup"]),
    "only a replica": (f"server {A} replica;", ["replica"]),
    "only a backup": (f"server {A} backup;", ["backup"]),
    "only replica and backup": (f"server {A} replica; server {B} backup;", ["replica|backup"]),
    "read without replicas": (f"server {A}; read replica;", ["read", "replica"]),
    "nearest without replicas": (f"server {A}; server {B}; read nearest;", ["read", "replica"]),
    "read of no kind": (f"server {A}; server {B} replica; read any;", ["read", "nearest"]),
    "read of several kinds": (f"server {A}; server {B} replica; read primary replica;", ["read"]),
    "two databases": (f"server {A}; server redis://127.0.0.1:6392/2;", ["server", "db|database"]),
    "two users": (f"server redis://u:p@127.0.0.1/1; server {A};", ["server", "user|password"]),
    "two passwords": ("server redis://u:p@127.0.0.1/1; server redis://u:q@127.0.0.1:1/1;",
                      ["server", "user|password"]),
    "with and without TLS": (f"server {A}; server rediss://127.0.0.1:2/1;", ["TLS|ssl"]),
    "db beside servers": (f"server {A}; db 1;", ["db", "server|sentinel"]),
    "db that is none": (f"{SENTINEL}; db x;", ["db"]),
    "a negative db": (f"{SENTINEL}; db -1;", ["db"]),
    "a user of no sentinel": (f"server {A}; sentinel_username u;", ["sentinel_username"]),
    "a password of no sentinel": (f"server {A}; sentinel_password_file /dev/null;",
                                  ["sentinel_password_file", "sentinel"]),
    "no verification without TLS": (f"server {A}; ssl_verify off;", ["ssl_", "TLS|ssl on|rediss"]),
    "a name without TLS": (f"server {A}; ssl_name x;", ["ssl_", "TLS|ssl on|rediss"]),
    "ciphers without TLS": (f"{SENTINEL}; ssl_ciphers DEFAULT;", ["ssl_", "TLS|ssl on"]),
    "a certificate without its key": (
        f"{SENTINEL}; ssl on; ssl_certificate /etc/ssl/x.pem;", ["ssl_certificate"]),
    "an unknown directive": (f"server {A}; serve {B};", ["serve"]),
    "a directive of nginx": (f"server {A}; keepalive 2;", ["keepalive"]),
    "a directive of locations": (f"server {A}; redis_cache_timeout 1s;", ["redis_cache_timeout"]),
    "a block in the block": (f"server {A} {{ }}", ["server|block|unexpected"]),
    "a variable": ("server redis://$host/1;", ["server", r"\$|variable"]),
    "a variable in a sentinel": ("sentinel main $host:26379;", ["sentinel", r"\$|variable"]),
    "a weight of 0": (f"server {A} weight=0;", ["weight"]),
    "a weight that is none": (f"server {A} weight=x;", ["weight"]),
    "an unknown parameter": (f"server {A} max_fails=2;", ["max_fails"]),
    "a wrong URL": ("server http://127.0.0.1;", ["server", "http://127.0.0.1|http:"]),
    "an address without a scheme": ("server 127.0.0.1:6379;", ["server"]),
    "a sentinel without an address": ("sentinel main;", ["sentinel"]),
    "a sentinel with a wrong port": ("sentinel main 127.0.0.1:99999;", ["sentinel", "99999"]),
    "a sentinel with a URL": ("sentinel main redis://127.0.0.1;", ["sentinel"]),
    "no connections": (f"server {A}; connections 0;", ["connections", "1 to 64"]),
    "too many connections": (f"server {A}; connections 65;", ["connections", "1 to 64"]),
    "no time": (f"server {A}; timeout 0;", ["timeout", "1ms"]),
    "no time to connect": (f"server {A}; connect_timeout x;", ["connect_timeout", "1ms"]),
    "no queue": (f"server {A}; queue 0;", ["queue"]),
    "no buffers": (f"server {A}; buffers 1k;", ["buffers"]),
    "a breaker that is none": (f"server {A}; breaker fails=0;", ["breaker"]),
    "a password that is not there": (f"server {A}; username u; password_file /does/not/exist;",
                                     ["password_file", "cannot read"]),
    "a user without a password": (f"server {A}; username u;", ["username", "password"]),
}  # fmt: skip

ONCE = ["cluster", "read primary", "db 1", "username u", "connections 2", "queue 9", "buffers 16m",
        "connect_timeout 1s", "timeout 1s", "breaker off", "ssl on", SENTINEL]  # fmt: skip


def emerg(said) -> str:
    lines = [line for line in said.splitlines() if "[emerg]" in line]
    assert lines, said
    return lines[0]


@pytest.mark.parametrize("case", REFUSED)
def test_refused(check, case):
    block, words = REFUSED[case]
    passed, said = check(location("", url="pages"), http=upstream(block))
    assert not passed
    line = emerg(said)
    for word in words:
        assert re.search(word, line), (word, line)


@pytest.mark.parametrize("directive", ONCE)
def test_a_directive_that_is_doubled(check, directive):
    ask = f"server {SEED};" if directive == "cluster" else f"{SENTINEL};"
    ask = "" if directive == SENTINEL else ask
    passed, said = check(
        location("", url="pages"), http=upstream(f"{ask} {directive}; {directive};")
    )
    assert not passed
    assert directive.split()[0] in emerg(said) and re.search("duplicate|twice", emerg(said))


def test_two_upstreams_of_one_name(check):
    passed, said = check(http=upstream(f"server {A};") + upstream(f"server {B};"))
    assert not passed and "pages" in emerg(said)


@pytest.mark.parametrize("directive", ["redis_cache_pass", "redis_cache"])
@pytest.mark.parametrize("name", ["other", "page", "pages2", "Pages"])
def test_a_name_that_is_unknown(check, directive, name):
    passed, said = check(f"location / {{ {directive} {name}; }}", http=upstream(f"server {A};"))
    assert not passed
    assert name in emerg(said) and directive in emerg(said)


@pytest.mark.parametrize("where", ["server", "location"])
def test_only_in_the_http_block(check, where):
    block = upstream(f"server {A};")
    passed, said = check(block if where == "server" else f"location / {{ {block} }}")
    assert not passed and "redis_cache_upstream" in emerg(said)


@pytest.mark.parametrize("name", ["", '""', "a b", "$host", "off", "redis://127.0.0.1"])
def test_a_name_that_is_none(check, name):
    passed, said = check(http=upstream(f"server {A};", name=name))
    assert not passed and "redis_cache_upstream" in emerg(said)


SECRET = ["redis://u:se-cret@127.0.0.1/x", "redis://:se-cret@127.0.0.1:0x1", "http://u:se-cret@h"]


@pytest.mark.parametrize("url", SECRET)
def test_a_password_is_not_repeated(check, url):
    passed, said = check(location("", url="pages"), http=upstream(f"server {url};"))
    assert not passed and "se-cret" not in said


TAKEN = {
    "one server": f"server {A};",
    "several": f"server {A} weight=3; server {B};",
    "a backup": f"server {A}; server {B}; server {C} backup;",
    "replicas": f"server {A}; server {B} replica; server {C} replica; read nearest;",
    "replicas that nobody reads": f"server {A}; server {B} replica; read primary;",
    "sentinels": f"{SENTINEL} 127.0.0.1:26380 localhost; read replica; db 2;",
    "a sentinel on its own port": "sentinel main 127.0.0.1;",
    "a cluster": f"cluster; server {SEED}; server redis://127.0.0.1:7002/0; read nearest;",
    "a cluster named last": f"server {SEED}; cluster;",
    "valkey": "server valkey://127.0.0.1:6391/1; server valkey://127.0.0.1:6392/1;",
    "a user in the URLs": "server redis://u:p@127.0.0.1:1/1; server redis://u:p@127.0.0.1:2/1;",
    "a socket": "server unix:/tmp/x.sock?db=1; server unix:/tmp/y.sock?db=1;",
    "TLS": "server rediss://127.0.0.1:6391/1; ssl_verify off; ssl_name x; ssl_protocols TLSv1.3;",
    "TLS with sentinels": f"{SENTINEL}; ssl on; ssl_verify off;",
    "everything else": f"server {A}; connections 4; queue 10; buffers 16m; connect_timeout 1s; "
                       "timeout 2s; breaker fails=2 timeout=1s;",
    "no breaker": f"server {A}; breaker off;",
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_taken(check, case):
    passed, said = check(location("", url="pages"), http=upstream(TAKEN[case]))
    assert passed, said


def test_the_upstream_behind_its_use(check):
    block = upstream(f"server {A};")
    server = f"{location('', url='pages')} {APP} }} {block} server {{ listen 127.0.0.1:1;"
    passed, said = check(server)
    assert passed, said


@pytest.mark.parametrize(
    "block,taken",
    [
        (f"server {A};", True),
        (f"server {A}; server {B};", False),
        (f"server {A}; server {B} replica;", False),
        (f"server {A}; server {B} backup;", False),
        (f"{SENTINEL};", False),
        (f"cluster; server {SEED};", False),
        ("server rediss://127.0.0.1:6391/1;", False),
    ],
)
def test_blocking_asks_one_server_without_tls(check, block, taken):
    server = f"redis_cache_io blocking; {location('', url='pages')}"
    passed, said = check(server, http=upstream(block))
    assert passed == taken, said
    if not taken:
        assert "blocking" in emerg(said)

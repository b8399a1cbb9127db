"""The key is made of the request as it was sent, byte for byte: scheme, host in lower case, port,
target; or of what redis_cache_key says."""

import base64
import hashlib
import json
import ssl
import subprocess
from pathlib import Path

import pytest
from support.raw import Raw, exchange, request_bytes
from support.stored import key_of, page

VECTORS = Path(__file__).parent.parent / "vectors/key.json"


@pytest.fixture
def asked(serve, fake_redis):
    """`asked(location)` starts nginx on a fake Redis; the result sends a request (bytes) and
    returns the key that was asked for, or the reason why none was."""

    def start(location="", target=None, **arguments):
        nginx = serve(
            f"redis_cache_status_header on; {location}", target=fake_redis.url, **arguments
        )

        def ask(*requests):
            before = len(fake_redis.gets())
            response = exchange(nginx.port, *requests)[-1]
            keys = fake_redis.gets()[before:]
            return keys[-1] if keys else response.cache[1] if response.cache else response.status

        ask.nginx = nginx
        return ask

    return start


TARGETS = [
    b"/", b"/%7E%2F%41", b"/p?", b"/p?x=%41&y=|", b"/a/../b", b"/a//b/./c", b"/|", b"/caf%C3%A9",
    b"/caf\xc3\xa9?\xff\xfe", b"/?", b"/?a?b#c", b"/a%00b", b"/a;b=c", b"/%25?%", b"/\\^`{}<>\"'",
    b"/" + b"x" * 4000, b"/a+b%20c",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_the_target_as_it_was_sent(asked, target):
    ask = asked()
    found = ask(request_bytes(target))
    assert found in (b"page:http://h" + target, 400), found
    if found == 400:
        assert b"%00" in target


@pytest.mark.parametrize(
    ("host", "in_key"),
    [
        ("Example.COM", b"example.com"), ("a.b:80", b"a.b"), ("a.b:8080", b"a.b:8080"),
        ("a.b:", b"a.b"), ("a.b.", b"a.b"), ("a.b:443", b"a.b:443"), ("127.0.0.1", b"127.0.0.1"),
        ("[::1]:8080", b"[::1]:8080"), ("a.b:0080", b"a.b"), ("a_b", b"a_b"),
        ("a.b:x", "host"), ("a.b:70000", "host"), ("a.b:-1", "host"), ("a.b:1:2", "host"),
    ],
)  # fmt: skip
def test_the_host(asked, host, in_key):
    found = asked()(request_bytes("/p", host=host))
    assert found in (in_key if isinstance(in_key, str) else b"page:http://" + in_key + b"/p", 400)
    assert found != 400 or isinstance(in_key, str)


def test_an_absolute_form_target(asked):
    ask = asked(server="server_name h;")
    assert ask(request_bytes("http://h/p?x")) == b"page:http://h/p?x"
    assert ask(request_bytes("http://H/p", host="h")) == b"page:http://h/p"
    assert ask(request_bytes("http://h?x")) == b"page:http://h/?x"
    assert ask(request_bytes("http://other/p", host="h")) == "host"
    assert ask(request_bytes("http://h/p", host="other")) == "host"
    assert ask(request_bytes("http://h/p", host=None, version="1.0")) == "host"


def test_http_1_0_without_a_host_uses_the_server_name(asked):
    request = request_bytes("/p", host=None, version="1.0")
    assert asked(server="server_name www.example.com;")(request) == b"page:http://www.example.com/p"


def test_without_any_name_of_a_host(asked):
    assert asked(server='server_name "";')(request_bytes("/p", host=None, version="1.0")) == "host"


def test_each_request_of_a_connection_has_its_own(asked):
    requests = [request_bytes(f"/{n}", host=f"h{n}") for n in range(5)]
    assert asked()(*requests) == b"page:http://h4/4"


def test_after_try_files_and_rewrite_the_target_as_it_was_sent(serve, redis):
    inner = f"internal; redis_cache_pass {redis.url}; redis_cache_fallback @app;"
    nginx = serve(
        locations=f"""
            location /t {{ try_files $uri /inner; }}
            location /r {{ rewrite ^ /inner?added=1; }}
            location /b {{ rewrite ^ /other break; redis_cache_pass {redis.url}; }}
            location /inner {{ {inner} }}
        """
    )
    for target in ["/t/%41?x=1", "/r/%41?x=1", "/b/%41?x=1"]:
        redis.set(key_of(nginx, target), page(target))
        assert nginx.get(target).body == target.encode()


def test_the_key_of_the_2014_article(asked):
    ask = asked("redis_cache_format raw;")
    for host, target in [("Example.com:8080", b"/p?x=%41"), ("a.b", b"/caf\xc3\xa9"), ("a", b"/")]:
        digest = hashlib.md5(host.encode() + target).hexdigest()
        assert ask(request_bytes(target, host=host)) == f":1:{digest}".encode()


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "none"])
def test_a_key_of_ones_own(asked, name):
    ask = asked(f"redis_cache_key $host|$arg_x|$http_y hash={name} 'prefix=my {{p}}:';")
    text = b"h|%41|\xff y"
    made = text if name == "none" else hashlib.new(name, text).hexdigest().encode()
    request = request_bytes("/p?x=%41", headers=[("Y", b"\xff y")])
    assert ask(request) == b"my {p}:" + made


def test_hash_and_prefix_may_be_left_out(asked):
    assert asked("redis_cache_key $uri;")(request_bytes("/a%20b")) == b"/a b"


def test_every_byte_that_a_variable_can_hold_reaches_redis(asked):
    ask = asked("redis_cache_key $uri;")
    text = bytes(byte for byte in range(1, 256) if byte not in b"/.")
    quoted = b"".join(b"%%%02X" % byte for byte in text)
    assert ask(request_bytes(b"/" + quoted)) == b"/" + text
    assert ask(request_bytes(b"/x%0D%0A*1%0D%0A$8%0D%0AFLUSHALL%0D%0A")) == (
        b"/x\r\n*1\r\n$8\r\nFLUSHALL\r\n"
    )


def test_a_prefix_is_taken_as_it_is_written(asked):
    assert asked("redis_cache_key $uri 'prefix=a b:=c';")(request_bytes("/p")) == b"a b:=c/p"


def test_an_empty_or_oversized_key_is_a_bypass(asked):
    ask = asked("redis_cache_key $arg_x prefix=p:;")
    assert ask(request_bytes("/p")) == "key"
    assert ask(request_bytes("/p?x=1")) == b"p:1"
    ask = asked("redis_cache_key $request_uri$request_uri$request_uri$request_uri;",
                server="large_client_header_buffers 4 64k;")  # fmt: skip
    assert ask(request_bytes("/" + "x" * 16_383)) == 4 * (b"/" + b"x" * 16_383)
    assert ask(request_bytes("/" + "x" * 16_384)) == "key"


def test_the_scheme_of_tls(asked, fake_redis, tmp_path):
    certificate, secret = tmp_path / "certificate", tmp_path / "secret"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-subj", "/CN=h", "-keyout", secret, "-out", certificate]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    ask = asked(listen="ssl", server=f"ssl_certificate {certificate}; "
                f"ssl_certificate_key {secret};")  # fmt: skip
    context = ssl._create_unverified_context()
    for host, in_key in [("h:443", b"h"), ("h:80", b"h:80"), ("h", b"h")]:
        with Raw(ask.nginx.port) as raw:
            raw.socket = context.wrap_socket(raw.socket)
            raw.reader = raw.socket.makefile("rb")
            raw.send(request_bytes("/p", host=host))
            assert raw.response().body == b"app GET /p"
        assert fake_redis.gets()[-1] == b"page:https://" + in_key + b"/p"


# Requests that nginx itself answers with 400, or that no request line can hold.
REFUSED_BY_NGINX = {
    "a port alone", "a space and control bytes", "an empty target", "host of a dot alone",
    "target without a leading slash",
}  # fmt: skip


def field(vector, name) -> bytes | None:
    if f"{name}_base64" in vector:
        return base64.b64decode(vector[f"{name}_base64"])
    return vector[name].encode() if name in vector else None


def groups():
    """The vectors that one configuration can answer, by form, hash and prefix."""
    found = {}
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        if vector.get("scheme") != "https":
            form = (vector["form"], vector["hash"], vector["prefix"])
            found.setdefault(form, []).append(vector)
    return found.items()


@pytest.mark.parametrize(("form", "vectors"), groups(), ids=lambda value: str(value)[:40])
def test_the_vectors(asked, form, vectors):
    name, hash, prefix = form
    text = {"http": "$redis_cache_uri", "raw": "$http_host$request_uri"}[name]
    ask = asked(
        f"redis_cache_format {name}; redis_cache_key {text} hash={hash} 'prefix={prefix}';",
        server="large_client_header_buffers 4 64k;",
    )
    refused = []
    for vector in vectors:
        host, target = field(vector, "host"), field(vector, "target")
        request = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
        found = ask(request)
        if found == 400:
            refused.append(vector["name"])
        elif "reason" in vector:
            assert found in (vector["reason"], "key"), vector["name"]
        else:
            assert found == field(vector, "key"), vector["name"]
    assert not set(refused) - REFUSED_BY_NGINX

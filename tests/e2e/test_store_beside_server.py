"""redis_cache and redis_cache_store at the level of the server: every location inherits them, also those
that protect, mirror, report errors or send files on behalf of another URI."""

import time

import pytest
from support.origin import Answer

HTML = ("Content-Type", "text/html")
FRESH = [("Cache-Control", "max-age=60"), HTML]


@pytest.fixture
def start(start_nginx, redis, origin):
    def start(locations, rules=""):
        return start_nginx(
            http="redis_cache_connect_timeout 2s; redis_cache_timeout 2s;",
            server=f"""
                redis_cache {redis.url}; redis_cache_store on; redis_cache_valid any 1h;
                redis_cache_status_header on;
                {rules}
                location / {{ proxy_pass {origin.url}; proxy_set_header Host $http_host; }}
                {locations}
            """,
        )

    return start


def ask(nginx, target="/p", headers=None, method="GET"):
    response = nginx.request(method, target, headers)
    time.sleep(0.05)
    return response


def count(origin, target):
    return sum(asked.target == target for asked in origin.requests)


@pytest.mark.parametrize("cached", ["", "X-Accel-Expires"])
@pytest.mark.parametrize("size", [20, 200_000])
def test_a_protected_file(start, origin, stored, tmp_path, cached, size):
    (tmp_path / "protected").mkdir()
    (tmp_path / "protected/file").write_bytes(b"secret" * size)
    headers = [*FRESH, ("X-Accel-Redirect", "/protected/file")]
    origin.answer = lambda asked: (
        Answer(b"", 200, headers + ([(cached, "60")] if cached else []))
        if "alice" in (asked.header("Cookie") or "")
        else Answer(b"denied", 403, [HTML, ("Cache-Control", "no-store")])
    )
    nginx = start(f"location /protected/ {{ internal; root {tmp_path}; }}")
    assert ask(nginx, "/p", {"Cookie": "alice"}).body == b"secret" * size
    for target in ["/p", "/protected/file"]:
        value = stored(nginx, target)
        assert value is None or b"secret" not in value
    assert ask(nginx, "/p", {"Cookie": "bob"}).body == b"denied"
    assert ask(nginx, "/protected/file").status == 404
    assert ask(nginx, "/p", {"Cookie": "alice"}).body == b"secret" * size


def test_access_is_decided_anew(start, origin, stored):
    allowed = []
    origin.answer = lambda asked: (
        Answer(b"", 200 if allowed else 401, FRESH)
        if asked.target == "/auth"
        else Answer(b"secret", headers=FRESH)
    )
    auth = f"location = /auth {{ internal; auth_request off; proxy_pass {origin.url}; }}"
    nginx = start(auth, "auth_request /auth;")
    allowed.append(1)
    assert ask(nginx).body == b"secret" and ask(nginx).cache == ("hit", "fresh")
    assert stored(nginx, "/auth") is None
    allowed.clear()
    assert ask(nginx).status == 401
    assert ask(nginx, "/new").status == 401
    assert stored(nginx, "/new") is None
    allowed.append(1)
    assert ask(nginx, "/new").body == b"secret"


def test_access_rules_and_passwords(start, origin, stored, tmp_path):
    (tmp_path / "users").write_text("alice:{PLAIN}x\n")
    origin.answer = lambda asked: Answer(b"page", headers=FRESH)
    nginx = start(
        f"""
        location /closed {{ deny all; proxy_pass {origin.url}; }}
        location /users {{ auth_basic a; auth_basic_user_file {tmp_path}/users; proxy_pass {origin.url}; }}
        """
    )
    assert ask(nginx, "/closed").status == 403 and stored(nginx, "/closed") is None
    assert ask(nginx, "/users").status == 401 and stored(nginx, "/users") is None
    alice = {"Authorization": "Basic YWxpY2U6eA=="}
    assert ask(nginx, "/users", alice).body == b"page"
    assert stored(nginx, "/users") is None
    assert ask(nginx, "/users").status == 401


def test_an_error_page(start, origin, stored, tmp_path):
    (tmp_path / "sorry").write_bytes(b"sorry")
    broken = []
    origin.answer = lambda asked: (
        Answer(b"x", 500, FRESH) if broken else Answer(b"page", headers=FRESH)
    )
    nginx = start(
        f"location = /sorry {{ internal; root {tmp_path}; }}",
        "proxy_intercept_errors on; error_page 500 =200 /sorry;",
    )
    broken.append(1)
    for _ in range(2):
        assert ask(nginx).body == b"sorry"
    broken.clear()
    assert ask(nginx).body == b"page" and ask(nginx).cache == ("hit", "fresh")
    assert count(origin, "/p") == 3


def test_a_named_location_after_an_error(start, origin, stored):
    """The stand-in answers in the name of /p while the application is away."""
    origin.answer = lambda asked: (
        Answer(b"x", 502, FRESH)
        if len(origin.requests) == 1
        else Answer(asked.header("X-Stand-In") and b"stand-in" or b"page", headers=FRESH)
    )
    nginx = start(
        f"location @standin {{ proxy_pass {origin.url}; proxy_set_header X-Stand-In 1; }}",
        "proxy_intercept_errors on; error_page 502 = @standin;",
    )
    assert ask(nginx).body == b"stand-in"
    assert stored(nginx) is None
    assert ask(nginx).body == b"page"


def test_a_mirror(start, origin, stored):
    origin.answer = lambda asked: Answer(b"of " + asked.target.encode(), headers=FRESH)
    mirror = f"location = /mirror {{ internal; mirror off; proxy_pass {origin.url}/copy; }}"
    nginx = start(mirror, "mirror /mirror;")
    for _ in range(2):
        assert ask(nginx).body == b"of /p"
    assert stored(nginx).endswith(b"of /p")
    assert stored(nginx, "/mirror") is None and stored(nginx, "/copy") is None


def test_an_index(start, origin, stored, tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/index.html").write_bytes(b"index")
    nginx = start(f"location /dir/ {{ root {tmp_path}; }}")
    for _ in range(2):
        assert ask(nginx, "/dir/").body == b"index"
        assert ask(nginx, "/dir/index.html").body == b"index"
    (tmp_path / "dir/index.html").write_bytes(b"newer")
    for target in ["/dir/", "/dir/index.html"]:
        assert ask(nginx, target).body == (b"index" if stored(nginx, target) else b"newer")


def test_returns_redirects_and_status(start, origin, stored):
    """What nginx answers by itself has no freshness of its own but that of redis_cache_valid."""
    nginx = start(
        """
        location = /gone { return 410; }
        location = /moved { return 301 /p; }
        location = /status { redis_cache off; stub_status; }
        location = /empty { return 204; }
        """
    )
    for _ in range(2):
        assert ask(nginx, "/gone").status == 410
        response = ask(nginx, "/moved")
        assert (response.status, response.header("Location")) == (
            301,
            f"http://127.0.0.1:{nginx.port}/p",
        )
        assert ask(nginx, "/empty").status == 204
        assert b"Active connections" in ask(nginx, "/status").body
    assert stored(nginx, "/status") is None and stored(nginx, "/empty") is None


def test_a_post_to_a_location_that_only_inherits(start, origin, stored):
    origin.answer = lambda asked: Answer(b"of " + asked.method.encode(), headers=FRESH)
    nginx = start("")
    assert ask(nginx).body == b"of GET" and ask(nginx).cache == ("hit", "fresh")
    assert ask(nginx, "/p", method="POST").body == b"of POST"
    assert ask(nginx).cache[0] != "hit"

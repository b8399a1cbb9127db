"""User and password come from the URL, or from redis_cache_username and redis_cache_password_file;
without the right ones the application answers, reason noauth."""

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.redis_server import RedisServer
from support.stored import key_of, page
from test_reload import gone, reload

STATUS = "redis_cache_status_header on; redis_cache_breaker off;"


@pytest.fixture
def locked(tmp_path):
    """A Redis that wants a password, with a user of its own."""
    server = RedisServer(tmp_path / "locked", "--requirepass", "pass: @/word")
    server.start()
    with server.client(password="pass: @/word") as client:
        client.acl_setuser(
            "reader", enabled=True, passwords=["+secret"], keys=["*"], reset=True,
            commands=["+get", "+select", "+hello", "+auth", "+client|setname"],
        )  # fmt: skip
        client.acl_setuser(
            "old", enabled=True, passwords=["+secret"], keys=["*"], reset=True,
            commands=["+get", "+select", "+auth"],
        )  # fmt: skip
        client.acl_setuser(
            "blind", enabled=True, passwords=["+secret"], keys=["public:*"], reset=True,
            commands=["+get", "+select", "+hello", "+auth"],
        )  # fmt: skip
    yield server
    server.stop()


def fill(server, nginx):
    with server.client(password="pass: @/word") as client:
        client.set(key_of(nginx, "/p"), page("stored"))


def url(server, user, host="127.0.0.1"):
    return f"redis://{user}@{host}:{server.port}/1"


@pytest.mark.parametrize("user", [":pass%3A%20%40%2Fword", "default:pass%3A%20%40%2Fword",
                                  "reader:secret"])  # fmt: skip
def test_user_and_password_in_the_url(serve, locked, user):
    nginx = serve(STATUS, target=url(locked, user))
    fill(locked, nginx)
    assert nginx.get("/p").body == b"stored"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_password_in_a_file(serve, locked, tmp_path, ending):
    (tmp_path / "password").write_text("pass: @/word" + ending, newline="")
    path = tmp_path / "password"
    nginx = serve(f"{STATUS} redis_cache_password_file {path};", target=locked.url)
    fill(locked, nginx)
    assert nginx.get("/p").body == b"stored"


def test_a_changed_password_is_read_on_reload(serve, locked, tmp_path):
    path = tmp_path / "password"
    path.write_text("old")
    nginx = serve(f"{STATUS} redis_cache_password_file {path};", target=locked.url)
    fill(locked, nginx)
    assert nginx.get("/p").cache == ("fwd=miss", "noauth")
    path.write_text("pass: @/word\n")
    gone(nginx, reload(nginx))
    assert nginx.get("/p").body == b"stored"
    with locked.client(password="pass: @/word") as client:
        client.config_set("requirepass", "new")
    # Connections that are logged in stay so, as Redis has it.
    assert nginx.get("/p").body == b"stored"
    path.write_text("new")
    gone(nginx, reload(nginx))
    assert nginx.get("/p").body == b"stored"


def test_username_and_a_file_relative_to_the_configuration(serve, locked, tmp_path):
    (tmp_path / "nginx0").mkdir()
    (tmp_path / "nginx0/secret").write_text("secret\n")
    nginx = serve(
        f"{STATUS} redis_cache_username reader; redis_cache_password_file secret;",
        target=locked.url,
    )
    fill(locked, nginx)
    assert nginx.get("/p").body == b"stored"


@pytest.mark.parametrize("user", ["", ":wrong@", "reader:wrong@", "nobody:secret@"])
def test_a_wrong_login_is_noauth(serve, locked, user):
    nginx = serve(STATUS, target=f"redis://{user}127.0.0.1:{locked.port}/1")
    fill(locked, nginx)
    for _ in range(3):
        response = nginx.get("/p")
        assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "noauth"))


def test_a_user_that_may_not_say_hello(serve, locked):
    nginx = serve(STATUS, target=url(locked, "old:secret"))
    fill(locked, nginx)
    assert nginx.get("/p").body == b"stored"


def test_a_user_that_may_not_read_the_key(serve, locked):
    nginx = serve(STATUS, target=url(locked, "blind:secret"))
    fill(locked, nginx)
    response = nginx.get("/p")
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "noperm"))


def test_a_user_that_may_not_ask_at_all(serve, locked):
    with locked.client(password="pass: @/word") as client:
        client.acl_setuser(
            "none", enabled=True, passwords=["+secret"], keys=["*"], reset=True,
            commands=["+select", "+hello", "+auth"],
        )  # fmt: skip
    nginx = serve(STATUS, target=url(locked, "none:secret"))
    fill(locked, nginx)
    for _ in range(3):
        response = nginx.get("/p")
        assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "noperm"))


def test_a_user_that_may_not_write(store, locked, origin):
    origin.answer = lambda asked: Answer(b"app", headers=[("Cache-Control", "max-age=60")])
    nginx = store("redis_cache_breaker off;", target=url(locked, "reader:secret"))
    for _ in range(2):
        assert nginx.get("/p").cache[0] == "fwd=uri-miss"
    wait_for(lambda: "a write was dropped: noperm" in nginx.error_log(), "the warning")
    assert "secret" not in nginx.error_log()

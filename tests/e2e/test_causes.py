"""The line in the error log says what was behind the reason, in the words of the system, of OpenSSL
or of the server: never a key, a value or a password."""

import socket

import pytest
from support.ports import free_port, wait_for
from support.stored import key_of

pytestmark = pytest.mark.engines("event", "blocking")

STATUS = "redis_cache_status_header on; redis_cache_breaker off;"
SECRET = "s3cr3t-w0rd"


def line(nginx, reason: str) -> str:
    """The one line with this reason."""
    [line] = [line for line in nginx.warnings() if f" {reason}: " in line]
    return line


def test_a_port_where_nobody_listens(serve):
    port = free_port()
    nginx = serve(STATUS, target=f"redis://127.0.0.1:{port}/1")
    assert nginx.get("/p").cache == ("fwd=miss", "refused")
    assert f"(127.0.0.1:{port}/1, 111: Connection refused)" in line(nginx, "refused")


@pytest.mark.parametrize(
    ("path", "cause"),
    [("missing.sock", "2: No such file or directory"), ("file/x.sock", "20: Not a directory"),
     ("file", "111: Connection refused")],
)  # fmt: skip
def test_a_unix_socket_that_is_none(serve, tmp_path, path, cause):
    (tmp_path / "file").write_text("")
    nginx = serve(STATUS, target=f"unix:{tmp_path}/{path}?db=1")
    assert nginx.get("/p").cache == ("fwd=miss", "refused")
    assert f"({tmp_path}/{path}/1, {cause})" in line(nginx, "refused").replace("unix:", "")


def test_a_unix_socket_without_permission(serve, redis):
    """Workers run as another user than root; the module is still loaded by root."""
    nginx = serve(STATUS, target=redis.unix_url, user="nobody nogroup")
    assert nginx.get("/p").cache == ("fwd=miss", "refused")
    assert "13: Permission denied" in line(nginx, "refused")


def test_a_backlog_that_is_full(serve, tmp_path):
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = []
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(path)
        except BlockingIOError:
            pass
        nginx = serve(STATUS, target=f"unix:{path}?db=1")
        assert nginx.get("/p").cache == ("fwd=miss", "refused")
        assert "11: Resource temporarily unavailable" in line(nginx, "refused")
        for client in waiting:
            client.close()


def test_no_route(serve):
    nginx = serve(STATUS, target="redis://255.255.255.255:6379/1")
    assert nginx.get("/p").cache == ("fwd=miss", "refused")
    assert "101: Network is unreachable" in line(nginx, "refused")


def test_a_connection_that_is_reset(serve, fake_redis):
    def reset(conn, words):
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        conn.shutdown(socket.SHUT_RD)
        conn.close()
        return True

    fake_redis.on_get = lambda conn, key: reset(conn, [])
    nginx = serve(STATUS, target=fake_redis.url)
    assert nginx.get("/p").cache == ("fwd=miss", "closed")
    assert "104: Connection reset by peer" in line(nginx, "closed")


REPLIES = {
    "OOM command not allowed when used memory > 'maxmemory'.": "oom",
    "NOPERM User x has no permissions to run the get command": "noperm",
    "LOADING Redis is loading the dataset in memory": "loading",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to no.": "masterdown",
    "ERR something is wrong": "error_reply",
    "BUSY Redis is busy running a script.": "error_reply",
    "ERR no backend for {tag} yet": "error_reply",
}


@pytest.mark.parametrize("reply", REPLIES)
def test_an_error_reply(serve, fake_redis, reply):
    fake_redis.on_get = lambda conn, key: conn.sendall(f"-{reply}\r\n".encode())
    nginx = serve(STATUS, target=fake_redis.url)
    assert nginx.get("/p").cache == ("fwd=miss", REPLIES[reply])
    shown = reply.replace("'maxmemory'", "maxmemory")
    assert f"(127.0.0.1:{fake_redis.port}/1, {shown})" in line(nginx, REPLIES[reply])


def test_an_error_reply_of_any_length_and_bytes(serve, fake_redis):
    text = b"-ERR a\tb\x1b[1m " + b"x" * 5000 + b"\r\n"
    fake_redis.on_get = lambda conn, key: conn.sendall(text)
    nginx = serve(STATUS, target=fake_redis.url)
    nginx.get("/p")
    said = line(nginx, "error_reply")
    assert "ERR a\\x09b\\x1B[1m" in said and len(said) < 700 and "x..." in said


def test_a_write_that_is_not_allowed(store, redis, cacheable, stored):
    """A write that is dropped says why; the user's password is not in it."""
    with redis.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "reader", "on", f">{SECRET}", "~*", "+get", "+select", "+hello",
        )  # fmt: skip
    nginx = store(target=f"redis://reader:{SECRET}@127.0.0.1:{redis.port}/1")
    assert nginx.get("/p").body == b"app /p"
    wait_for(nginx.warnings, "the line of the write")
    said = line(nginx, "a write was dropped: noperm")
    assert "NOPERM" in said and "set" in said and SECRET not in nginx.error_log()
    assert key_of(nginx, "/p") not in said


ECHOES = [
    "-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' '{}' \r\n",
    "-ERR cannot do HELLO 3 AUTH default {} yet\r\n",
    "-WRONGPASS {} is wrong\r\n",
    "-ERR {}: \"{}\" `{}`\r\n",
]


@pytest.mark.parametrize("echo", ECHOES)
def test_a_server_that_repeats_the_password(serve, fake_redis, echo):
    def answer(conn, words):
        if words[0].upper() in (b"HELLO", b"AUTH"):
            conn.sendall(echo.replace("{}", SECRET).encode())
        return words[0].upper() in (b"HELLO", b"AUTH")

    fake_redis.on_command = answer
    nginx = serve(STATUS, target=f"redis://:{SECRET}@127.0.0.1:{fake_redis.port}/1")
    assert nginx.get("/p").cache == ("fwd=miss", "noauth")
    assert "ERR" in line(nginx, "noauth") or "WRONGPASS ..." in line(nginx, "noauth")
    assert SECRET not in nginx.error_log()


def test_a_command_that_is_unknown_is_shown_without_its_key(serve, fake_redis):
    def unknown(conn, key):
        args = f"with args beginning with: '{key.decode()}' "
        conn.sendall(f"-ERR unknown command 'GET', {args}\r\n".encode())

    fake_redis.on_get = unknown
    nginx = serve(STATUS, target=fake_redis.url)
    assert nginx.get("/p?personal=1").cache == ("fwd=miss", "noperm")
    assert ", ERR unknown command GET)" in line(nginx, "noperm")
    [said] = nginx.warnings()
    assert "personal" not in said.partition(", client: ")[0]


def test_a_password_that_is_wrong(serve, redis):
    nginx = serve(STATUS, target=f"redis://:{SECRET}@127.0.0.1:{redis.port}/1")
    with redis.client() as client:
        client.config_set("requirepass", "0ther")
    assert nginx.get("/p").cache == ("fwd=miss", "noauth")
    assert ", WRONGPASS invalid username-password pair" in line(nginx, "noauth")
    assert SECRET not in nginx.error_log()


def test_one_line_an_interval_with_its_cause(serve):
    nginx = serve(STATUS, target=f"redis://127.0.0.1:{free_port()}/1")
    for _ in range(5):
        nginx.get("/p")
    assert "111: Connection refused" in line(nginx, "refused")

"""A stored page behind the access rules and limits of its location: they come before every lookup,
and who is refused gets no page."""

import base64
import threading

import pytest
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for
from support.stored import fresh_line, key_of, page

# The tests say with what address they come.
FROM = "set_real_ip_from 127.0.0.1; real_ip_header X-From;"
INSIDE, OUTSIDE = {"X-From": "10.0.0.1"}, {"X-From": "192.0.2.1"}


@pytest.fixture
def application(origin):
    origin.answer = lambda asked: Answer(b"app " + asked.target.encode(), headers=FRESH)
    return origin


@pytest.fixture
def password(tmp_path):
    file = tmp_path / "users"
    file.write_text("user:{PLAIN}word\n")
    return f'auth_basic "x"; auth_basic_user_file {file};'


def with_password(word="word", **more):
    return {"Authorization": "Basic " + base64.b64encode(f"user:{word}".encode()).decode(), **more}


@pytest.mark.parametrize("satisfy", ["any", "all"])
def test_satisfy(store, application, stored, password, satisfy):
    """A request with Authorization is not looked up, so with `all` nobody gets a stored page."""
    rules = f"satisfy {satisfy}; allow 10.0.0.0/8; deny all; {password}"
    nginx = store(server=f"{FROM} {rules}")
    redis_page = lambda: stored(nginx, within=0.2)  # noqa: E731
    first = nginx.get("/p", INSIDE)
    assert first.status == (200 if satisfy == "any" else 401)
    if satisfy == "any":
        assert redis_page().endswith(b"app /p")
        assert nginx.get("/p", INSIDE).cache == ("hit", "fresh")
    outside = nginx.get("/p", OUTSIDE)
    assert outside.status == (401 if satisfy == "any" else 403) and b"app" not in outside.body
    wrong = nginx.get("/p", with_password("wrong", **OUTSIDE))
    assert wrong.status == (401 if satisfy == "any" else 403) and b"app" not in wrong.body
    right = nginx.get("/p", with_password(**(OUTSIDE if satisfy == "any" else INSIDE)))
    assert (right.body, right.cache) == (b"app /p", ("fwd=bypass", "authorization/bypass"))
    if satisfy == "all":
        assert redis_page() is None


def test_a_stored_page_is_not_shown_to_who_is_refused(store, application, redis, password):
    nginx = store(server=f"{FROM} satisfy any; deny all; {password}")
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    for headers in [INSIDE, OUTSIDE, with_password("wrong")]:
        response = nginx.get("/p", headers)
        assert response.status == 401 and b"stored" not in response.body
    assert not application.requests


def test_limit_req_counts_hits(store, application, redis):
    nginx = store(
        http="limit_req_zone $host zone=z:64k rate=1r/m;",
        server="limit_req zone=z burst=3 nodelay; limit_req_status 429;",
    )
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    with nginx.client() as client:
        responses = [client.get("/p") for _ in range(8)]
    assert [response.status for response in responses] == [200] * 4 + [429] * 4
    assert {response.body for response in responses[:4]} == {b"stored"}
    assert all(b"stored" not in response.body for response in responses[4:])
    assert not application.requests


def test_limit_req_that_delays(store, application, redis):
    """A request that waits there is looked up afterwards, once."""
    nginx = store(
        http="limit_req_zone $host zone=z:64k rate=50r/s;",
        server="limit_req zone=z burst=30;",
    )
    redis.set(key_of(nginx, "/hit"), page("stored", line=fresh_line()))
    bodies = {}

    def ask(n):
        bodies[n] = nginx.get("/hit" if n % 2 else f"/{n}").body

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == {n: b"stored" if n % 2 else b"app /%d" % n for n in range(20)}
    assert len(application.requests) == 10


def test_a_client_that_leaves_while_it_is_delayed(store, application):
    nginx = store(
        http="limit_req_zone $host zone=z:64k rate=2r/s;",
        server="limit_req zone=z burst=30;",
    )
    for n in range(5):
        with nginx.client(timeout=0.05) as client:
            try:
                client.get(f"/{n}")
            except TimeoutError:
                pass
    wait_for(lambda: len(nginx.access_log()) == 5, "the clients to be gone")
    assert nginx.get("/p").body == b"app /p"


def test_limit_conn_counts_requests_that_wait_for_redis(store, application, fake_redis, io):
    if io == "blocking":
        pytest.skip("a blocking query holds its worker")
    let_go = threading.Event()

    def on_get(conn, key):
        let_go.wait(5)
        conn.sendall(b"_\r\n")

    fake_redis.on_get = on_get
    nginx = store(
        "redis_cache_timeout 5s;",
        http="limit_conn_zone $host zone=c:64k;",
        server="limit_conn c 1; limit_conn_status 429;",
        target=fake_redis.url,
    )
    found = []
    waiting = threading.Thread(target=lambda: found.append(nginx.get("/p")))
    waiting.start()
    wait_for(fake_redis.gets, "a lookup")
    assert nginx.get("/q").status == 429
    let_go.set()
    waiting.join()
    assert found[0].body == b"app /p"
    assert nginx.get("/q").body == b"app /q"

"""A stored page that is no longer fresh is confirmed by the application: it is asked with the stored
validators, and after a 304 the stored page is sent and is fresh again (RFC 9111 section 4.3)."""

import time

import pytest
from support.origin import Answer
from support.stored import fresh_line, key_of, page

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
OLD = [("Content-Type", "text/html; charset=utf-8"), ("ETag", '"1"'), ("X-Old", "old"),
       ("X-Stays", "stays"), ("Cache-Control", "max-age=1")]  # fmt: skip
CONFIRMED = [("ETag", '"1"'), ("Cache-Control", "max-age=60"), ("X-Old", "new"),
             ("Content-Type", "text/plain")]  # fmt: skip


@pytest.fixture
def nginx(store):
    return store("redis_cache_revalidate on;")


@pytest.fixture
def expired(nginx, redis):
    """Stores a page that is no longer fresh."""

    def expired(body="stored page", headers=OLD, target="/p", status="200 OK"):
        redis.set(key_of(nginx, target), page(body, status, headers, fresh_line(1000, age=10)))

    return expired


def test_a_304_makes_the_page_fresh_again(nginx, expired, origin, stored):
    expired()
    origin.answer = lambda asked: Answer(b"", 304, CONFIRMED)
    response = nginx.get("/p")
    assert (response.status, response.body) == (200, b"stored page")
    assert response.cache == ("fwd=stale", "revalidated")
    assert origin.last.header("If-None-Match") == '"1"'
    assert response.all("X-Old") == ["new"] and response.all("X-Stays") == ["stays"]
    assert response.header("Content-Type") == "text/html; charset=utf-8"
    assert response.header("Age") == "0"
    time.sleep(0.05)
    assert b"X-Old: new" in stored(nginx) and b"fresh=60000" in stored(nginx)
    second = nginx.get("/p")
    assert (second.body, second.cache) == (b"stored page", ("hit", "fresh"))
    assert second.all("X-Old") == ["new"]
    assert len(origin.requests) == 1


def test_last_modified_is_a_validator(nginx, expired, origin):
    expired(headers=[("Last-Modified", DATE)])
    origin.answer = lambda asked: Answer(b"", 304, [("Cache-Control", "max-age=60")])
    assert nginx.get("/p").body == b"stored page"
    assert origin.last.header("If-Modified-Since") == DATE
    assert origin.last.header("If-None-Match") is None


def test_a_200_replaces_the_page(nginx, expired, origin):
    expired()
    origin.answer = lambda asked: Answer(b"new page", headers=CONFIRMED)
    assert nginx.get("/p").cache == ("fwd=stale", "stale")
    time.sleep(0.05)
    assert (nginx.get("/p").body, len(origin.requests)) == (b"new page", 1)


@pytest.mark.parametrize("status", [500, 404])
def test_an_error_is_passed_on_and_the_page_stays(nginx, expired, origin, stored, status):
    expired()
    origin.answer = lambda asked: Answer(b"error", status)
    assert nginx.get("/p").status == status
    assert b"stored page" in stored(nginx)


def test_a_page_without_a_validator_is_fetched(nginx, expired, origin):
    expired(headers=[("X-Any", "1")])
    nginx.get("/p")
    assert origin.last.header("If-None-Match") is None
    assert origin.last.header("If-Modified-Since") is None


def test_not_unless_it_is_on(store, redis, origin):
    nginx = store()
    redis.set(key_of(nginx, "/p"), page("x", headers=OLD, line=fresh_line(1000, age=10)))
    assert nginx.get("/p").body == b"app GET /p"
    assert origin.last.header("If-None-Match") is None


def test_the_clients_own_condition(nginx, expired, origin):
    """The application sees the stored validator alone; the client's is answered by the page."""
    origin.answer = lambda asked: Answer(b"", 304, CONFIRMED)
    for header, status in [('"1"', 304), ('"0"', 200), ('W/"1", "x"', 304), ("*", 304)]:
        expired()
        response = nginx.get("/p", {"If-None-Match": header})
        assert (response.status, response.body) == (status, b"stored page" if status == 200 else b"")
        assert origin.last.header("If-None-Match") == '"1"'
        assert response.header("ETag") == '"1"'
        time.sleep(0.05)
        assert nginx.get("/p").cache == ("hit", "fresh")


def test_a_client_that_stays_goes_on(nginx, expired, origin):
    """Nothing of the dropped answer leaks into the next response on the connection."""
    origin.answer = lambda asked: Answer(b"", 304, CONFIRMED)
    expired()
    with nginx.client() as client:
        assert client.get("/p", {"If-None-Match": '"1"'}).status == 304
        assert client.get("/p").body == b"stored page"
        expired()
        assert client.get("/p").body == b"stored page"
        assert client.get("/p").body == b"stored page"


def test_large_and_empty_pages(nginx, expired, origin):
    origin.answer = lambda asked: Answer(b"", 304, CONFIRMED)
    for body in [b"", bytes(range(256)) * 9000]:
        expired(body)
        for _ in range(2):
            assert nginx.get("/p").body == body
            time.sleep(0.1)


def test_no_cache_is_stored_and_always_confirmed(nginx, origin, stored):
    def answer(asked):
        known = asked.header("If-None-Match") == '"1"'
        headers = [("ETag", '"1"'), ("Cache-Control", "no-cache")]
        return Answer(b"" if known else b"page", 304 if known else 200, headers)

    origin.answer = answer
    assert nginx.get("/p").body == b"page"
    assert b"fresh=0" in stored(nginx, within=2)
    for _ in range(3):
        response = nginx.get("/p")
        assert (response.body, response.cache[1]) == (b"page", "revalidated")
    assert len(origin.requests) == 4


def test_a_304_of_another_page_updates_nothing(nginx, expired, origin, stored):
    expired()
    before = stored(nginx)
    origin.answer = lambda asked: Answer(b"", 304, [("ETag", '"2"'), *CONFIRMED[1:]])
    assert nginx.get("/p").body == b"stored page"
    time.sleep(0.05)
    assert stored(nginx) == before


def test_a_304_that_forbids_storing(nginx, expired, origin, stored):
    expired()
    before = stored(nginx)
    forbidding = [("ETag", '"1"'), ("Cache-Control", "private"), ("Set-Cookie", "a=b")]
    origin.answer = lambda asked: Answer(b"", 304, forbidding)
    response = nginx.get("/p")
    assert (response.body, response.header("Set-Cookie")) == (b"stored page", "a=b")
    time.sleep(0.05)
    assert stored(nginx) == before


def test_a_304_that_nobody_asked_for_is_passed_on(nginx, origin, stored):
    origin.answer = lambda asked: Answer(b"", 304, CONFIRMED)
    assert nginx.get("/p").status == 304
    time.sleep(0.05)
    assert stored(nginx) is None


def test_how_long_it_is_kept(store, redis, origin, stored):
    origin.answer = lambda asked: Answer(b"page", headers=CONFIRMED)
    nginx = store("redis_cache_revalidate on; redis_cache_keep 10m;")
    nginx.get("/p")
    assert stored(nginx, within=2)
    with redis.client() as client:
        assert 655_000 < client.pttl(key_of(nginx, "/p")) <= 660_000


def test_an_invalidation_in_between_wins(nginx, expired, origin, redis, stored):
    expired()
    gone = page(b"", line='v=1, gone="abc"')

    def answer(asked):
        redis.set(key_of(nginx, "/p"), gone)
        return Answer(b"", 304, CONFIRMED)

    origin.answer = answer
    assert nginx.get("/p").body == b"stored page"
    time.sleep(0.05)
    assert stored(nginx) == gone


def test_stored_statuses_other_than_200(nginx, expired, origin):
    expired("moved", [("Location", "/q"), ("ETag", '"1"')], status="301 Moved Permanently")
    origin.answer = lambda asked: Answer(b"", 304, CONFIRMED)
    response = nginx.get("/p")
    assert (response.status, response.body) == (301, b"moved")
    assert response.header("Location").endswith("/q")


def test_a_stored_coding_that_the_client_cannot_take(nginx, expired, origin):
    expired(headers=[*OLD, ("Content-Encoding", "br")])
    nginx.get("/p")
    assert origin.last.header("If-None-Match") is None


def test_no_subrequest_is_asked_to_confirm(store, redis, origin, door):
    """The validators are those of one page; auth_request would take a 304 for an error."""
    own = {"/auth": Answer(b"yes"), "/part": Answer(b"part"), "/mirror": Answer(b"")}

    def answer(asked):
        known = asked.header("If-None-Match") == '"1"'
        return Answer(b"", 304, CONFIRMED) if known else own.get(asked.target, Answer(b"page"))

    origin.answer = answer
    part = f"location /part {{ proxy_pass {origin.url}; }}"
    internal = f"{{ internal; proxy_pass {origin.url}; }}"
    nginx = store(
        "redis_cache_revalidate on;",
        app="auth_request /auth; mirror /mirror;",
        server="ssi on;",
        locations=f"{part} location = /auth {internal} location = /mirror {internal}",
    )
    html = [("Content-Type", "text/html"), ("ETag", '"1"')]
    include = page('<!--# include virtual="/part" -->', headers=html, line=fresh_line(1000, age=9))
    redis.set(key_of(nginx, "/p"), include)
    response = nginx.get("/p")
    assert (response.body, response.cache[1]) == (b"part", "revalidated")
    seen = {asked.target: asked.header("If-None-Match") for asked in origin.requests}
    assert seen["/p"] == '"1"' and {seen[target] for target in seen if target != "/p"} == {None}


@pytest.mark.parametrize("backup", ["@backup", "/backup"])
def test_a_backup_is_not_asked_to_confirm(store, redis, origin, door, backup):
    """A dead application, and another that would say 304 to a validator that is not the client's."""

    def answer(asked):
        known = asked.header("If-None-Match")
        return Answer(b"", 304, CONFIRMED) if known else Answer(b"from the backup", headers=CONFIRMED)

    origin.answer = answer
    nginx = store(
        "redis_cache_revalidate on;",
        url="http://127.0.0.1:1",
        app=f"error_page 502 = {backup};",
        locations=f"location {backup} {{ proxy_pass {origin.url}; }}",
    )
    redis.set(key_of(nginx, "/p"), page("stored", headers=OLD, line=fresh_line(1000, age=9)))
    response = nginx.get("/p")
    assert (response.status, response.body) == (200, b"from the backup")
    assert origin.last.header("If-None-Match") is None


def test_a_proxys_own_conditions_stand_beside_ours(store, redis, origin):
    """proxy_set_header and proxy_cache find the validators by name, and replace them."""
    origin.answer = lambda asked: Answer(b"page", headers=CONFIRMED)
    nginx = store("redis_cache_revalidate on;", app="proxy_set_header If-None-Match mine;")
    redis.set(key_of(nginx, "/p"), page("stored", headers=OLD, line=fresh_line(1000, age=9)))
    assert nginx.get("/p").body == b"page"
    sent = [value for name, value in origin.last.headers if name.lower() == "if-none-match"]
    assert sent == ["mine"]

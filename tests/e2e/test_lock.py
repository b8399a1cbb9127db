"""redis_cache_lock: requests that come while a page is fetched wait for it, and get the one that is stored."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page

HTML = ("Content-Type", "text/html; charset=utf-8")
FRESH = [HTML, ("Cache-Control", "max-age=60")]


class Gate:
    """An application that answers when it is let."""

    def __init__(self, origin):
        self.origin = origin
        self.opened = threading.Event()
        self.headers, self.status = list(FRESH), 200
        origin.answer = self

    def __call__(self, asked):
        self.opened.wait(20)
        number = len(self.origin.requests)
        return Answer(b"<p>%d</p>" % number, status=self.status, headers=self.headers)

    @property
    def asked(self):
        return len(self.origin.requests)


@pytest.fixture
def gate(origin):
    gate = Gate(origin)
    yield gate
    gate.opened.set()


class Crowd:
    """Requests that are under way."""

    def __init__(self, nginx, count, target="/p", headers=None, method="GET"):
        self.pool = ThreadPoolExecutor(count)
        ask = lambda n: nginx.request(method, target, headers)  # noqa: E731
        self.futures = [self.pool.submit(ask, n) for n in range(count)]

    def answers(self):
        found = [future.result(30) for future in self.futures]
        self.pool.shutdown()
        return found


def waiting(nginx, count):
    """Waits until so many connections are open."""

    def is_so():
        status = nginx.get("/nginx").body.decode()
        return int(status.split("Active connections: ")[1].split()[0]) - 1 >= count

    wait_for(is_so, f"{count} connections")


STATUS = "location = /nginx { redis_cache off; stub_status; }"


def start(store, location="", **more):
    return store(location, locations=STATUS, **more)


def test_one_request_for_a_cold_page(store, gate):
    nginx = start(store)
    crowd = Crowd(nginx, 50)
    waiting(nginx, 50)
    gate.opened.set()
    answers = crowd.answers()
    assert {(a.status, a.body) for a in answers} == {(200, b"<p>1</p>")}
    assert gate.asked == 1
    found = [a.header("Cache-Status").split("; ", 1)[1] for a in answers]
    assert sum("collapsed; ttl=" in value for value in found) >= 45
    assert sum("detail=absent" in value for value in found) == 1


def test_one_request_for_a_page_that_has_just_expired(store, gate, redis):
    nginx = start(store)
    redis.set(key_of(nginx, "/p"), page("old", headers=[HTML], line=fresh_line(fresh=1, age=9)))
    crowd = Crowd(nginx, 30)
    waiting(nginx, 30)
    gate.opened.set()
    assert {a.body for a in crowd.answers()} == {b"<p>1</p>"}
    assert gate.asked == 1


@pytest.mark.parametrize(
    "headers, status",
    [
        ([HTML, ("Cache-Control", "no-store")], 200),
        ([*FRESH, ("Set-Cookie", "a=b")], 200),
        ([HTML], 500),
        ([*FRESH, ("Vary", "*")], 200),
    ],
    ids=["no-store", "a cookie", "500", "varies on all"],
)
def test_what_cannot_be_stored_holds_nobody_up(store, gate, headers, status):
    gate.headers, gate.status = headers, status
    nginx = start(store)
    crowd = Crowd(nginx, 20)
    waiting(nginx, 20)
    wait_for(lambda: gate.asked == 1, "the first")
    gate.opened.set()
    answers = crowd.answers()
    assert {a.status for a in answers} == {status} and len({a.body for a in answers}) == 20
    gate.opened.clear()
    # For a while nobody waits for such a page at all.
    crowd = Crowd(nginx, 5)
    wait_for(lambda: gate.asked == 25, "all to be asked for")
    gate.opened.set()
    crowd.answers()


def test_an_answer_that_breaks_off(store, gate, raw_origin):
    def answer(asked):
        gate.opened.wait(20)
        return b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 99\r\n\r\nhalf"

    raw_origin.answer = answer
    nginx = start(store, url=raw_origin.url)
    with ThreadPoolExecutor(5) as pool:
        clients = [pool.submit(cut_off, nginx) for _ in range(5)]
        wait_for(lambda: len(raw_origin.requests) == 1, "the first")
        time.sleep(0.2)
        began = time.monotonic()
        gate.opened.set()
        assert [client.result(20) for client in clients] == [b"half"] * 5
    assert time.monotonic() - began < 4


def cut_off(nginx):
    with socket.create_connection(("127.0.0.1", nginx.port), 20) as client:
        client.sendall(request_bytes("/p", host=f"127.0.0.1:{nginx.port}"))
        got = b""
        while piece := client.recv(1000):
            got += piece
    return got.partition(b"\r\n\r\n")[2]


def test_a_leader_who_leaves(store, gate):
    nginx = start(store)
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/p", host=f"127.0.0.1:{nginx.port}"))
        wait_for(lambda: gate.asked == 1, "the first")
        crowd = Crowd(nginx, 10)
        waiting(nginx, 11)
        time.sleep(0.2)
        assert gate.asked == 1
    wait_for(lambda: gate.asked == 2, "another to lead")
    gate.opened.set()
    assert {a.body for a in crowd.answers()} == {b"<p>2</p>"}
    assert gate.asked == 2


def test_who_waits_may_leave(store, gate):
    nginx = start(store)
    crowd = Crowd(nginx, 1)
    wait_for(lambda: gate.asked == 1, "the first")
    for _ in range(10):
        with Raw(nginx.port) as raw:
            raw.send(request_bytes("/p", host=f"127.0.0.1:{nginx.port}"))
            waiting(nginx, 2)
    wait_for(lambda: "Active connections: 2" in nginx.get("/nginx").body.decode(), "them to leave")
    gate.opened.set()
    assert crowd.answers()[0].body == b"<p>1</p>"
    assert gate.asked == 1


def test_the_longest_that_anybody_waits(store, gate):
    nginx = start(store, "redis_cache_lock_timeout 300ms; redis_cache_lock_age 1m;")
    crowd = Crowd(nginx, 5)
    wait_for(lambda: gate.asked == 5, "all to be asked for", 10)
    gate.opened.set()
    answers = crowd.answers()
    words = sorted(a.cache[1] for a in answers)
    assert words == ["absent", *["lock_timeout"] * 4]
    assert "collapsed=?0" in [a for a in answers if a.cache[1] == "lock_timeout"][0].header("Cache-Status")


def test_after_its_age_another_one_leads(store, gate):
    nginx = start(store, "redis_cache_lock_age 300ms; redis_cache_lock_timeout 20s;")
    first = Crowd(nginx, 3)
    wait_for(lambda: gate.asked == 1, "the first")
    time.sleep(0.4)
    second = Crowd(nginx, 3)
    wait_for(lambda: gate.asked == 2, "another")
    waiting(nginx, 6)
    gate.opened.set()
    assert {a.status for a in first.answers() + second.answers()} == {200}
    assert gate.asked == 2


def test_off(store, gate):
    nginx = start(store, "redis_cache_lock off;")
    crowd = Crowd(nginx, 5)
    wait_for(lambda: gate.asked == 5, "all")
    gate.opened.set()
    crowd.answers()


def test_head_waits_and_others_do_not(store, gate):
    nginx = start(store)
    leader = Crowd(nginx, 1)
    wait_for(lambda: gate.asked == 1, "the first")
    head = Crowd(nginx, 1, method="HEAD")
    alone = [
        Crowd(nginx, 1, headers={"Range": "bytes=0-1"}),
        Crowd(nginx, 1, headers={"Authorization": "x"}),
        Crowd(nginx, 1, method="POST"),
        Crowd(nginx, 1, target="/other"),
    ]
    wait_for(lambda: gate.asked == 5, "those who do not wait")
    waiting(nginx, 6)
    time.sleep(0.2)
    assert gate.asked == 5
    gate.opened.set()
    for crowd in [leader, *alone]:
        crowd.answers()
    assert head.answers()[0].status == 200


def test_each_variant_is_made_once(store, origin):
    opened = threading.Event()

    def answer(asked):
        opened.wait(20)
        language = asked.header("Accept-Language")
        return Answer(language.encode(), headers=[*FRESH, ("Vary", "Accept-Language")])

    origin.answer = answer
    nginx = start(store)
    languages = ["de", "en", "fr", "nl"]
    crowds = [Crowd(nginx, 5, headers={"Accept-Language": each}) for each in languages]
    waiting(nginx, 20)
    opened.set()
    for language, crowd in zip(languages, crowds, strict=True):
        assert {a.body for a in crowd.answers()} == {language.encode()}
    asked = sorted(asked.header("Accept-Language") for asked in origin.requests)
    assert asked == languages


def test_a_change_meanwhile(store, gate):
    nginx = start(store)
    crowd = Crowd(nginx, 10)
    wait_for(lambda: gate.asked == 1, "the first")
    waiting(nginx, 10)
    gate.headers = [HTML]
    post = Crowd(nginx, 1, method="POST")
    wait_for(lambda: gate.asked == 2, "the change")
    gate.opened.set()
    assert post.answers()[0].status == 200
    gate.headers = list(FRESH)
    assert {a.status for a in crowd.answers()} == {200}
    assert nginx.get("/p").body != b"<p>1</p>"


@pytest.mark.parametrize("fault", ["killed", "paused"])
def test_redis_is_lost_meanwhile(store, gate, redis, fault):
    nginx = start(store)
    crowd = Crowd(nginx, 10)
    wait_for(lambda: gate.asked == 1, "the first")
    waiting(nginx, 10)
    redis.kill() if fault == "killed" else redis.pause()
    gate.opened.set()
    assert {a.status for a in crowd.answers()} == {200}
    if fault == "paused":
        redis.resume()


def test_a_reload_meanwhile(store, gate):
    nginx = start(store)
    crowd = Crowd(nginx, 10)
    wait_for(lambda: gate.asked == 1, "the first")
    waiting(nginx, 10)
    old = nginx.workers()
    nginx.reload()
    time.sleep(0.2)
    gate.opened.set()
    assert {a.body for a in crowd.answers()} == {b"<p>1</p>"}
    wait_for(lambda: not set(nginx.workers()) & set(old), "the old worker to end", 30)


def test_a_large_page_that_a_thread_codes(store, origin):
    opened = threading.Event()
    body = b"<li>entry</li>\n" * 30_000

    def answer(asked):
        opened.wait(20)
        return Answer(body, headers=FRESH)

    origin.answer = answer
    nginx = start(store, "redis_cache_compress gzip;")
    crowd = Crowd(nginx, 10)
    waiting(nginx, 10)
    opened.set()
    assert {a.body for a in crowd.answers()} == {body}
    assert len(origin.requests) == 1


def test_how_long_somebody_waited(store, gate):
    nginx = start(store, server="add_header X-Wait [$redis_cache_wait_time] always;")
    leader = Crowd(nginx, 1)
    wait_for(lambda: gate.asked == 1, "the first")
    crowd = Crowd(nginx, 1)
    waiting(nginx, 2)
    time.sleep(0.3)
    gate.opened.set()
    assert leader.answers()[0].header("X-Wait") == "[]"
    assert 0.2 < float(crowd.answers()[0].header("X-Wait").strip("[]")) < 5


def vary(origin, *held):
    """An application with a page in each language; answers number `held` wait until they are let."""
    opened, lock, made = threading.Event(), threading.Lock(), []

    def answer(asked):
        if asked.method == "POST":
            return Answer(b"changed", headers=[HTML])
        with lock:
            made.append(asked.header("Accept-Language"))
            number = len(made)
        if number in held:
            opened.wait(20)
        return Answer(b"%s %d" % (made[number - 1].encode(), number), headers=[*FRESH, ("Vary", "Accept-Language")])

    origin.answer = answer
    return opened, made


@pytest.mark.parametrize("how", ["UNLINK", "POST"])
def test_what_is_purged_while_some_wait_for_a_variant_stays_away(store, origin, redis, how):
    opened, made = vary(origin, 2)
    nginx = start(store)
    german, english = {"Accept-Language": "de"}, {"Accept-Language": "en"}
    assert nginx.get("/p", german).body == b"de 1"
    wait_for(lambda: nginx.get("/p", german).cache[0] == "hit", "the first")
    crowd = Crowd(nginx, 6, headers=english)
    wait_for(lambda: len(made) == 2, "the leader")
    waiting(nginx, 6)
    if how == "POST":
        assert nginx.request("POST", "/p").status == 200
    else:
        with redis.client() as client:
            client.unlink(key_of(nginx, "/p"))
    opened.set()
    assert {a.status for a in crowd.answers()} == {200}
    assert nginx.get("/p", german).body != b"de 1"
    assert len(made) <= 5


def test_who_waits_holds_no_page(store, gate, redis):
    nginx = start(store, "redis_cache_max_size 1m; redis_cache_buffers 4m;")
    old = page(b"x" * 900_000, headers=[HTML], line=fresh_line(fresh=1, age=9))
    redis.set(key_of(nginx, "/p"), old)
    crowds = []
    for n in range(8):
        crowds.append(Crowd(nginx, 1))
        waiting(nginx, n + 1)
        time.sleep(0.1)
    assert gate.asked == 1
    gate.opened.set()
    assert {a.body for crowd in crowds for a in crowd.answers()} == {b"<p>1</p>"}


def test_a_failing_application_is_asked_once_for_a_page_that_may_be_stale(store, gate, redis):
    gate.headers, gate.status = [HTML], 503
    nginx = start(store)
    line = fresh_line(fresh=1, age=9, extra=", sie=600000")
    redis.set(key_of(nginx, "/p"), page(b"old", headers=[HTML], line=line))
    crowd = Crowd(nginx, 20)
    waiting(nginx, 20)
    time.sleep(0.2)
    gate.opened.set()
    answers = crowd.answers() + [nginx.get("/p") for _ in range(5)]
    assert {(a.status, a.body, a.cache[1]) for a in answers} == {(200, b"old", "use_stale")}
    assert gate.asked == 1


def test_who_has_waited_in_vain_gets_the_stale_page_too(store, redis, silent):
    app = "proxy_read_timeout 1s;"
    nginx = start(store, "redis_cache_lock_timeout 300ms;", app=app, url=f"http://127.0.0.1:{silent}")
    line = fresh_line(fresh=1, age=9, extra=", sie=600000")
    redis.set(key_of(nginx, "/p"), page(b"old", headers=[HTML], line=line))
    assert {(a.status, a.body) for a in Crowd(nginx, 4).answers()} == {(200, b"old")}


def test_an_answer_of_nginx_itself_is_no_verdict(store, gate):
    nginx = start(store, app="proxy_read_timeout 300ms;")
    assert nginx.get("/p").status == 504
    asked = gate.asked

    def answer(request):
        time.sleep(0.2)
        return Answer(b"made", headers=FRESH)

    gate.origin.answer = answer
    assert {a.body for a in Crowd(nginx, 20).answers()} == {b"made"}
    assert gate.asked == asked + 1


def test_nobody_waits_for_who_says_who_it_is(store, gate):
    nginx = start(store, "redis_cache_authorization on;")
    user = Crowd(nginx, 1, headers={"Authorization": "Basic eDp5"})
    wait_for(lambda: gate.asked == 1, "the user")
    others = Crowd(nginx, 3)
    wait_for(lambda: gate.asked == 2, "one of the others")
    waiting(nginx, 4)
    gate.opened.set()
    user.answers()
    assert {a.body for a in others.answers()} == {b"<p>2</p>"}

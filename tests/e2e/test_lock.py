"""redis_cache_lock: requests that come while a page is fetched wait for it, and get the one that is stored."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.crowd import Crowd, Gate, start, waiting
from support.origin import Answer
from support.pages import FRESH, HTML
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page


@pytest.fixture
def gate(origin):
    gate = Gate(origin)
    yield gate
    gate.opened.set()


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

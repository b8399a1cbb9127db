"""redis_cache_lock where a page is purged, stale, or not to be had while requests wait for it."""

import threading
import time

import pytest
from support.crowd import Crowd, Gate, start, waiting
from support.origin import Answer
from support.pages import FRESH, HTML
from support.ports import wait_for
from support.stored import fresh_line, key_of, page


@pytest.fixture
def gate(origin):
    gate = Gate(origin)
    yield gate
    gate.opened.set()


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

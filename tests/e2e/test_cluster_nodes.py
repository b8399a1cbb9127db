"""Nodes that say what no good node says: redirects without end or to nowhere, maps that are huge,
torn or nonsense. The application answers, and a good map mends everything."""

import time

import pytest
from support.fake_redis import bulk
from support.fake_topology import FakeNode, array, slots_reply, text
from support.ports import free_port, wait_for
from support.stored import page
from support.upstream import BREAKER, QUICK, asked, start

LOCAL = "127.0.0.1"


@pytest.fixture
def nodes():
    """Two nodes that say that the first serves all slots."""
    nodes = [FakeNode(), FakeNode()]
    for node in nodes:
        node.map = [(0, 16383, [(LOCAL, nodes[0].port)])]
    yield nodes
    for node in nodes:
        node.stop()


def begin(serve, *nodes, more="breaker off;"):
    seeds = "".join(f"server {node.url};" for node in nodes)
    return start(serve, f"cluster; {seeds} {more}", f"{QUICK} redis_cache_status_header on;")


def says(reply):
    return lambda conn, key: conn.sendall(reply() if callable(reply) else reply)


def serves(text):
    return lambda conn, key: conn.sendall(bulk(page(text)))


def reason(response):
    return response.cache[1].partition("/")[0]


def known(nginx):
    """Waits until the map is there; the nodes answer nil meanwhile."""
    wait_for(lambda: reason(nginx.get("/known")) != "topology", "the map", 2)


@pytest.mark.parametrize("word", ["MOVED", "ASK"])
def test_a_redirect_is_followed_once(serve, nodes, word):
    one, two = nodes
    nginx = begin(serve, one)
    known(nginx)
    one.on_get = says(b"-%s 3999 127.0.0.1:%d\r\n" % (word.encode(), two.port))
    two.on_get = serves("two")
    response = nginx.get("/p")
    assert response.body == b"two" and asked(response) == two.port
    assert (b"ASKING" in [words[0].upper() for words in two.commands]) == (word == "ASK")
    at = [words[0].upper() for words in two.commands]
    if word == "ASK":
        assert at.index(b"GET") == at.index(b"ASKING") + 1


@pytest.mark.parametrize("first", ["MOVED", "ASK"])
@pytest.mark.parametrize("second", ["MOVED", "ASK"])
def test_two_that_point_at_each_other(serve, nodes, first, second):
    one, two = nodes
    nginx = begin(serve, one)
    known(nginx)
    asked_before = len(one.gets())
    one.on_get = says(f"-{first} 3999 127.0.0.1:{two.port}\r\n".encode())
    two.on_get = says(f"-{second} 3999 127.0.0.1:{one.port}\r\n".encode())
    for n in range(5):
        response = nginx.get(f"/{n}")
        assert (response.status, response.body) == (200, b"app GET /%d" % n)
        assert reason(response) == "moved"
    assert len(one.gets()) + len(two.gets()) - asked_before <= 10
    one.on_get, two.on_get = serves("one"), serves("one")
    wait_for(lambda: nginx.get("/p").body == b"one", "a hit", 3)


@pytest.mark.parametrize("word", ["MOVED", "ASK"])
def test_one_that_points_at_itself(serve, nodes, word):
    one = nodes[0]
    nginx = begin(serve, one)
    known(nginx)
    before = len(one.gets())
    one.on_get = says(f"-{word} 3999 127.0.0.1:{one.port}\r\n".encode())
    for n in range(5):
        assert nginx.get(f"/{n}").body == b"app GET /%d" % n
    assert len(one.gets()) - before <= 10


def test_the_map_is_not_asked_for_without_end(serve, nodes):
    """A redirect on every request asks for the map now and then, not each time."""
    one, two = nodes
    nginx = begin(serve, one)
    known(nginx)
    one.on_get = says(b"-MOVED 3999 127.0.0.1:%d\r\n" % two.port)
    two.on_get = serves("two")
    before = one.asks() + two.asks()
    end, count = time.monotonic() + 2, 0
    while time.monotonic() < end:
        response = nginx.get(f"/{count}")
        assert response.body == b"two", (count, response.cache)
        count += 1
    asks = one.asks() + two.asks() - before
    assert count > 100 and 1 <= asks <= 30, (count, asks)


def test_an_empty_host_is_the_one_that_was_asked(serve, nodes):
    one, two = nodes
    nginx = begin(serve, one)
    known(nginx)
    one.on_get = says(b"-MOVED 3999 :%d\r\n" % two.port)
    two.on_get = serves("two")
    response = nginx.get("/p")
    assert response.body == b"two" and asked(response) == two.port
    one.on_get = serves("one")
    for node in nodes:
        node.map = [(0, 16383, [("", one.port)])]
    wait_for(lambda: nginx.get("/p").body == b"one", "the map to be read", 3)


REDIRECTS = [
    b"-MOVED\r\n", b"-MOVED \r\n", b"-MOVED 1\r\n", b"-MOVED 1 \r\n", b"-ASK 1\r\n", b"-ASK\r\n",
    b"-MOVED 1 127.0.0.1\r\n", b"-MOVED 1 127.0.0.1:\r\n", b"-MOVED 1 127.0.0.1:0\r\n",
    b"-MOVED 1 127.0.0.1:65536\r\n", b"-MOVED 1 127.0.0.1:-1\r\n", b"-MOVED 1 127.0.0.1:x\r\n",
    b"-MOVED x 127.0.0.1:1\r\n", b"-MOVED -1 127.0.0.1:1\r\n", b"-MOVED 16384 127.0.0.1:1\r\n",
    b"-MOVED 99999999999999999999 127.0.0.1:1\r\n", b"-MOVED 1 127.0.0.1:1 more words\r\n",
    b"-MOVED 1 /etc/passwd:1\r\n", b"-MOVED 1 unix:/tmp/x.sock\r\n", b"-MOVED 1 [::1]:1\r\n",
    b"-MOVED 1 ::1:1\r\n", b"-MOVED 1 a b:1\r\n", b"-MOVED 1 \xff\x00:1\r\n", b"-MOVED 1 :\r\n",
    b"-MOVED 1 ?:1\r\n", b"-MOVED 1 " + b"h" * 300 + b":1\r\n",
    b"-MOVED 1 no-such-host.invalid:1\r\n",
    b"-ASK 1 127.0.0.1:99999\r\n", b"-ASK 1 no-such-host.invalid:1\r\n", b"-ASKING\r\n",
    b"-MOVEDX 1 127.0.0.1:1\r\n", b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    b"-CLUSTERDOWN The cluster is down\r\n", b"-CLUSTERDOWN Hash slot not served\r\n",
    b"-CROSSSLOT Keys in request don't hash to the same slot\r\n",
    b"-ERR This instance has cluster support disabled\r\n",
]  # fmt: skip


@pytest.mark.parametrize("reply", REDIRECTS)
def test_a_redirect_to_nowhere(serve, nodes, reply):
    one = nodes[0]
    nginx = begin(serve, one)
    known(nginx)
    one.on_get = says(reply)
    for n in range(4):
        began = time.monotonic()
        response = nginx.get(f"/{n}")
        assert (response.status, response.body) == (200, b"app GET /%d" % n)
        assert time.monotonic() - began < 1.5
    one.on_get = serves("good")
    wait_for(lambda: nginx.get("/p").body == b"good", "a hit", 3)


@pytest.mark.parametrize("word", ["MOVED", "ASK"])
def test_a_redirect_to_one_that_is_not_there(serve, nodes, word):
    one = nodes[0]
    nginx = begin(serve, one, more=BREAKER)
    known(nginx)
    one.on_get = says(f"-{word} 3999 127.0.0.1:{free_port()}\r\n".encode())
    for n in range(10):
        response = nginx.get(f"/{n}")
        assert (response.status, response.body) == (200, b"app GET /%d" % n)
    one.on_get = serves("good")
    wait_for(lambda: nginx.get("/p").body == b"good", "a hit", 3)


def test_a_redirect_does_not_outlast_the_budget(serve, nodes):
    one, two = nodes
    nginx = begin(serve, one)
    known(nginx)
    late = b"-MOVED 3999 127.0.0.1:%d\r\n" % two.port
    one.on_get = lambda conn, key: (time.sleep(0.3), conn.sendall(late))
    two.on_get = lambda conn, key: (time.sleep(0.4), conn.sendall(bulk(page("too late"))))
    began = time.monotonic()
    assert nginx.get("/p").body == b"app GET /p"
    assert time.monotonic() - began < 0.68


def rows(count, width=1):
    """A map of many parts of one slot, each with a number of servers."""
    return [(n % 16384, n % 16384, [(LOCAL, 1 + n % 60000)] * width) for n in range(count)]


SERVER = array(text(LOCAL), b":1\r\n", text("id"))
MAPS = {
    "no slots": array(),
    "nil": b"*-1\r\n",
    "an error": b"-ERR This instance has cluster support disabled\r\n",
    "no permission": b"-NOPERM this user has no permissions to run the 'cluster|slots' command\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "a string": bulk(b"x" * 100),
    "an integer": b":16384\r\n",
    "a map": b"%1\r\n+a\r\n+b\r\n",
    "integers": array(b":0\r\n", b":16383\r\n"),
    "a row without servers": array(array(b":0\r\n", b":16383\r\n")),
    "a server without a port": array(array(b":0\r\n", b":16383\r\n", array(text(LOCAL)))),
    "a server of no words": array(array(b":0\r\n", b":16383\r\n", array())),
    "an empty row": array(array()),
    "slots beyond the end": array(array(b":0\r\n", b":16384\r\n", SERVER)),
    "slots far beyond the end": array(array(b":0\r\n", b":9223372036854775807\r\n", SERVER)),
    "negative slots": array(array(b":-1\r\n", b":16383\r\n", SERVER)),
    "slots that end before they begin": array(array(b":16383\r\n", b":0\r\n", SERVER)),
    "slots as words": array(array(text("a"), text("b"), SERVER)),
    "a host that is an integer": array(
        array(b":0\r\n", b":16383\r\n", array(b":1\r\n", b":1\r\n", text("id")))),
    "port 0": slots_reply([(0, 16383, [(LOCAL, 0)])]),
    "a port that is too high": slots_reply([(0, 16383, [(LOCAL, 70000)])]),
    "a port that is negative": slots_reply([(0, 16383, [(LOCAL, -1)])]),
    "a host with a line end": slots_reply([(0, 16383, [("a\r\nb", 1)])]),
    "a host with NUL": slots_reply([(0, 16383, [("127.0.0.1\x00", 1)])]),
    "a host that is no text": slots_reply([(0, 16383, [(b"\xff\xfe", 1)])]),
    "a host that is a path": slots_reply([(0, 16383, [("/etc/passwd", 1)])]),
    "a host that is unknown": slots_reply([(0, 16383, [("?", 1)])]),
    "a host that does not resolve": slots_reply([(0, 16383, [("no-such-host.invalid", 1)])]),
    "a host of a million bytes": slots_reply([(0, 16383, [("h" * 1_000_000, 1)])]),
    "a host that is null": array(
        array(b":0\r\n", b":16383\r\n", array(b"_\r\n", b":0\r\n", text("x")))),
    "all slots alone": slots_reply(rows(16384)),
    "more parts than slots": slots_reply(rows(60_000)),
    "a thousand servers a slot": slots_reply(rows(16, 1000)),
    "nests": b"*1\r\n" * 100_000,
    "a length without end": b"*1000000000\r\n",
    "a string without end": b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$500000000\r\n",
    "half a map": slots_reply([(0, 16383, [(LOCAL, 1)])])[:-20],
    "garbage": bytes(range(256)) * 4,
}  # fmt: skip


@pytest.mark.parametrize("case", MAPS)
@pytest.mark.parametrize("when", ["first", "later"])
def test_a_map_that_is_none(serve, nodes, case, when):
    one = nodes[0]
    good = one.map
    one.on_get = serves("good")
    if when == "first":
        one.map = MAPS[case]
    nginx = begin(serve, one, more=BREAKER)
    if when == "later":
        wait_for(lambda: nginx.get("/p").body == b"good", "a hit", 2)
        one.map = MAPS[case]
        one.on_get = says(b"-CLUSTERDOWN The cluster is down\r\n")
        nginx.get("/down")
        time.sleep(0.6)
        one.on_get = serves("good")
    for n in range(5):
        response = nginx.get(f"/{n}")
        assert response.status == 200
        assert response.body in (b"app GET /%d" % n, b"good")
        time.sleep(0.05)
    one.map = good
    wait_for(lambda: nginx.get("/p").body == b"good", "a good map to be taken", 5)


def test_two_parts_that_overlap(serve, nodes):
    one, two = nodes
    one.map = [(0, 16383, [(LOCAL, one.port)]), (100, 9000, [(LOCAL, two.port)])]
    one.on_get, two.on_get = serves("good"), serves("good")
    nginx = begin(serve, one)
    wait_for(lambda: nginx.get("/p").body == b"good", "a hit", 3)
    assert all(nginx.get(f"/{n}").body == b"good" for n in range(20))


def test_slots_that_nobody_serves(serve, nodes):
    """Half of the keys have a server; the others are the application's, without being asked for."""
    one = nodes[0]
    one.map = [(0, 8191, [(LOCAL, one.port)])]
    one.on_get = serves("good")
    nginx = begin(serve, one)
    wait_for(lambda: any(nginx.get(f"/{n}").body == b"good" for n in range(20)), "a hit", 3)
    found = {}
    for n in range(60):
        response = nginx.get(f"/{n}")
        found.setdefault(reason(response), set()).add(response.body[:4])
    assert found == {"fresh": {b"good"}, "topology": {b"app "}}


def test_a_map_that_never_comes(serve, nodes):
    one, two = nodes
    one.on_command = lambda conn, words: words[0].upper() == b"CLUSTER"
    two.map = [(0, 16383, [(LOCAL, two.port)])]
    two.on_get = serves("two")
    nginx = begin(serve, one, two)
    wait_for(lambda: nginx.get("/p").body == b"two", "the other seed to be asked", 3)

"""A server that is given by name: resolved when nginx starts, and with nginx's `resolver` again by
TTL, so that a name may move to another machine. Whatever becomes of the name server, the address
that was known goes on."""

import itertools
import time

import pytest
from support.dns import DnsServer, Fault
from support.load import Load
from support.ports import free_port, wait_for
from support.redis_server import RedisServer
from support.stored import key_of, page

NAME = "redis.test"
CLIENT = "nginx-redis-cache"
QUICK = "redis_cache_breaker fails=3 timeout=100ms; redis_cache_status_header on;"
PLACES = ["location", "http", "upstream"]
FAULTS = list(Fault)
# A TTL of a second, a second between questions, and a busy machine.
SOON = 6


@pytest.fixture
def dns():
    server = DnsServer()
    yield server
    server.stop()


@pytest.fixture
def pair(tmp_path):
    """Two servers on one port, at 127.0.0.1 and 127.0.0.2."""
    port = free_port()
    servers = [RedisServer(tmp_path / host, host=host, port=port)
               for host in ["127.0.0.1", "127.0.0.2"]]  # fmt: skip
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def named(serve, dns, pair, hosts):
    """An nginx that asks NAME, which is at 127.0.0.1. Both servers have the same ten pages, and
    one that tells which of them it is."""

    def named(place="location", known=("127.0.0.1",), resolver=None, **arguments):
        port = pair[0].port
        resolver = dns.directive if resolver is None else resolver
        target, http = f"redis://{NAME}:{port}/1", QUICK
        if place == "upstream":
            http += f"redis_cache_upstream pages {{ server {target}; }}"
            target = "pages"
        dns.records.setdefault(NAME, list(known))
        nginx = serve(
            location=resolver if place == "location" else "",
            http=http + ("" if place == "location" else resolver),
            target=target,
            environment=hosts({NAME: known}),
            **arguments,
        )
        for server in pair:
            for n in range(10):
                server.set(key_of(nginx, f"/{n}"), page(f"stored /{n}"))
            server.set(key_of(nginx, "/where"), page(server.host))
        return nginx

    return named


def where(nginx):
    return nginx.get("/where").body.decode()


def is_at(nginx, server, seconds=SOON):
    wait_for(lambda: where(nginx) == server.host, f"an answer of {server.host}", seconds, 0.05)


def connected(server):
    with server.client() as client:
        return [entry for entry in client.client_list() if entry["name"] == CLIENT]


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_moves(named, dns, pair, place):
    old, new = pair
    nginx = named(place)
    assert where(nginx) == old.host
    with Load(nginx, threads=4) as load:
        wait_for(lambda: load.stored > 50, "hits")
        dns.records[NAME] = [new.host]
        is_at(nginx, new)
        wait_for(lambda: not connected(old), "the old connections to be let go")
        known = load.stored
        wait_for(lambda: load.stored > known + 50, "hits")
    assert not load.wrong and load.application == 0
    assert where(nginx) == new.host
    assert set(dns.questions) == {NAME}
    assert nginx.warnings() == []


def test_the_time_to_live_is_obeyed(named, dns, pair):
    old, new = pair
    dns.ttl = 4
    nginx = named()
    assert where(nginx) == old.host
    wait_for(lambda: dns.questions, "a question")
    began = time.monotonic()
    dns.records[NAME] = [new.host]
    while time.monotonic() - began < 2.5:
        assert where(nginx) == old.host
        time.sleep(0.05)
    assert len(dns.questions) == 1
    is_at(nginx, new)


def test_no_question_a_request(named, dns):
    dns.ttl = 300
    nginx = named()
    with Load(nginx, threads=4, each=100) as load:
        pass
    assert load.stored == 400
    assert dns.questions == [NAME]


@pytest.mark.parametrize("place", PLACES)
def test_the_old_server_dies_and_the_name_moves(named, dns, pair, place):
    old, new = pair
    nginx = named(place)
    assert where(nginx) == old.host
    with Load(nginx, threads=4) as load:
        wait_for(lambda: load.stored > 50, "hits")
        old.kill()
        wait_for(lambda: load.application > 20, "pages of the application")
        dns.records[NAME] = [new.host]
        is_at(nginx, new)
    assert not load.wrong


def test_the_connection_is_lost_while_the_name_holds_long(named, dns, pair):
    """`valid=` bounds the time to live, which nginx's resolver else obeys to the end."""
    old, new = pair
    dns.ttl = 300
    nginx = named(resolver=dns.directive.replace(";", " valid=1s;", 1))
    assert where(nginx) == old.host
    wait_for(lambda: dns.questions, "a question")
    dns.records[NAME] = [new.host]
    old.kill()
    is_at(nginx, new)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_name_server_that_fails(named, dns, pair, fault):
    """Hits go on, nothing waits for an answer, and the log says it once."""
    old, new = pair
    nginx = named()
    assert where(nginx) == old.host
    dns.fault = fault
    with Load(nginx, threads=2) as load:
        time.sleep(4)
    assert load.application == 0 and not load.wrong
    assert load.slowest < 1
    [line] = nginx.warnings()
    assert "could not be resolved again" in line and NAME in line
    dns.fault = None
    dns.records[NAME] = [new.host]
    is_at(nginx, new, 10)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_name_server_that_fails_from_the_start(named, dns, pair, fault):
    dns.fault = fault
    nginx = named()
    with Load(nginx, threads=2) as load:
        time.sleep(2.5)
    assert load.application == 0 and not load.wrong
    assert where(nginx) == pair[0].host


@pytest.mark.parametrize("fault", FAULTS)
def test_the_address_that_was_known_is_connected_to_anew(named, dns, pair, fault):
    old, _ = pair
    nginx = named()
    assert where(nginx) == old.host
    dns.fault = fault
    time.sleep(2.5)
    with Load(nginx, threads=2) as load:
        old.kill()
        wait_for(lambda: load.application > 20, "pages of the application")
        old.start()
        old.set(key_of(nginx, "/where"), page(old.host))
        is_at(nginx, old)
    assert not load.wrong


@pytest.mark.parametrize("alive", [0, 1])
def test_several_addresses_of_which_one_is_dead(named, dns, pair, alive):
    addresses = [server.host for server in pair]
    dns.records[NAME] = addresses
    nginx = named(known=addresses)
    pair[1 - alive].kill()
    is_at(nginx, pair[alive])
    with Load(nginx, threads=2, each=100) as load:
        pass
    assert not load.wrong and load.application < 20
    assert where(nginx) == pair[alive].host


def test_an_address_that_is_added_and_one_that_is_taken_away(named, dns, pair):
    old, new = pair
    nginx = named()
    assert where(nginx) == old.host
    dns.records[NAME] = [old.host, new.host]
    questions = len(dns.questions)
    wait_for(lambda: len(dns.questions) > questions + 1, "more questions", SOON)
    dns.records[NAME] = [new.host]
    is_at(nginx, new)
    wait_for(lambda: not connected(old), "the old connections to be let go", SOON)


def test_the_name_moves_back_and_forth_under_load(named, dns, pair):
    nginx = named()
    with Load(nginx, threads=4) as load:
        for server in [pair[1], pair[0], pair[1]]:
            dns.records[NAME] = [server.host]
            is_at(nginx, server)
    assert not load.wrong and load.application == 0


@pytest.mark.parametrize("place", PLACES)
def test_without_a_resolver_a_name_is_resolved_at_the_start_alone(named, dns, pair, hosts, place):
    old, new = pair
    nginx = named(place, resolver="")
    assert where(nginx) == old.host
    dns.records[NAME] = [new.host]
    time.sleep(2.5)
    hosts({NAME: [new.host]})
    assert where(nginx) == old.host and dns.questions == []
    before = set(nginx.workers())
    nginx.reload()
    wait_for(lambda: not set(nginx.workers()) & before, "the old worker to end")
    assert where(nginx) == new.host


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_the_system_does_not_know(check, dns, place):
    target, http = "redis://nowhere.invalid:6379/1", dns.directive
    if place == "upstream":
        http += f"redis_cache_upstream pages {{ server {target}; }}"
        target = "pages"
    passed, said = check(f"location / {{ redis_cache_pass {target}; redis_cache_fallback @app; }}",
                         http=http)  # fmt: skip
    assert not passed and "cannot resolve nowhere.invalid" in said


def test_names_of_sentinels_and_seeds_too(check):
    for servers in ["sentinel main nowhere.invalid;", "server redis://nowhere.invalid; cluster;"]:
        http = f"redis_cache_upstream pages {{ {servers} }}"
        passed, said = check("location / { redis_cache_pass pages; redis_cache_fallback @app; }",
                             http=http)  # fmt: skip
        assert not passed and "cannot resolve nowhere.invalid" in said


@pytest.mark.parametrize("fault", [None, Fault.SILENT])
def test_reloads_while_names_are_asked_for(named, dns, pair, fault):
    """Old workers end while a question is under way, without an alert."""
    nginx = named()
    assert where(nginx) == pair[0].host
    dns.fault = fault
    hosts = itertools.cycle(server.host for server in reversed(pair))
    with Load(nginx, threads=2, keepalive=False) as load:
        for _ in range(5):
            dns.records[NAME] = [next(hosts)]
            before = set(nginx.workers())
            nginx.reload()
            wait_for(lambda before=before: not set(nginx.workers()) & before, "old workers to end")
            time.sleep(0.3)
    assert not load.wrong and load.application == 0


def test_nginx_ends_while_a_question_is_under_way(named, dns, pair):
    """The fixture fails on an alert and on an nginx that does not end."""
    dns.fault = Fault.SILENT
    nginx = named(resolver=dns.directive.replace("resolver_timeout 1s", "resolver_timeout 30s"))
    assert where(nginx) == pair[0].host
    wait_for(lambda: dns.questions, "a question")
    began = time.monotonic()
    nginx.stop()
    assert time.monotonic() - began < 3

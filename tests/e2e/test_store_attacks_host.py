"""The host that a client names is a part of the key: a page that was made for one spelling, or for
none, is not sent to those who name another; nothing is stored for a host that is not the server's."""

import time

import pytest
from support.h2client import H2Client
from support.raw import exchange, request_bytes
from support.site import LIFETIME, message, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    server = "server_name site.example;"
    with site(tmp_path_factory.mktemp("site"), server=server) as cache:
        yield cache


@pytest.fixture(autouse=True)
def reflecting(cache):
    """The application's page names the host it was asked for."""
    cache.origin.answer = lambda asked: message(
        headers=[LIFETIME], body=f"{asked.header('Host')}|".encode() + asked.body
    )


def ask(cache, *requests):
    responses = exchange(cache.nginx.port, *requests)
    time.sleep(0.02)
    return responses


def test_an_absolute_target_with_another_host_is_neither_served_nor_stored(cache):
    target, host = cache.target(), f"127.0.0.1:{cache.nginx.port}"
    evil = request_bytes(f"http://{host}{target}", host="evil.example")
    other = request_bytes(f"http://evil.example{target}", host=host)
    for request in [evil, other]:
        [response] = ask(cache, request)
        assert response.cache is None or response.cache[0] != "hit"
    with cache.redis.client() as client:
        for name in [host, "evil.example"]:
            value = client.get(f"page:http://{name}{target}")
            assert value is None or value.endswith(f"\r\n\r\n{name}|".encode())
    assert ask(cache, request_bytes(target, host=host))[0].body == f"{host}|".encode()


HOSTS = ["SITE.EXAMPLE", "site.example.", "Site.Example:80", "site.example:80", "site.example:080",
         "site.example:", "site.example:8080"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_spelt_in_another_way_does_not_change_the_page(cache, name):
    """The application sees the Host as it was sent; its page must not be that of another spelling."""
    target = cache.target()
    ask(cache, request_bytes(target, host=name))
    [response] = ask(cache, request_bytes(target, host="site.example"))
    assert response.body == b"site.example|"


def test_a_request_without_a_host_does_not_change_the_page(cache):
    target = cache.target()
    ask(cache, request_bytes(target, host=None, version="1.0"))
    [response] = ask(cache, request_bytes(target, host="site.example"))
    assert response.body == b"site.example|"


@pytest.mark.parametrize("name", ["a/b", "a b", "a\tb", "a\x00b", "site.example\r\nX: y", "a\\b"])
def test_a_host_of_no_form_makes_no_key_of_another_page(cache, name):
    target = cache.target()
    try:
        [response] = ask(cache, request_bytes(target, host=name.encode()))
        assert response.status in (200, 400)
    except ConnectionError:
        pass
    with cache.redis.client() as client:
        keys = [key for key in client.keys(f"*{target}")]
    assert not [key for key in keys if b" " in key or key.startswith(b"page:http://a/b")]


def test_two_hosts_are_refused(cache):
    target = cache.target()
    request = request_bytes(target, host="site.example", headers=[("Host", "evil.example")])
    assert ask(cache, request)[0].status == 400
    assert not cache.asked(target)


@pytest.mark.parametrize("place", ["host", ":authority"])
def test_http2_with_two_hosts(store, raw_origin, stored, place):
    """The application must not be asked for one site while the page is another's."""
    raw_origin.answer = lambda asked: message(
        headers=[LIFETIME], body=(asked.header("Host") or "").encode()
    )
    nginx = store(url=raw_origin.url, listen="http2", server="server_name site.example;")
    with H2Client(nginx.port) as client:
        client.h2.config.validate_outbound_headers = False
        one, two = ("site.example", "evil.example")[:: 1 if place == "host" else -1]
        stream = client.start("/p", headers=[("host", two)], authority=one)
        try:
            client.response(stream)
        except Exception:
            pass
    time.sleep(0.05)
    with H2Client(nginx.port) as client:
        assert client.get("/p", authority="site.example").body == b"site.example"


def test_http2_without_a_host_field(store, raw_origin):
    raw_origin.answer = lambda asked: message(
        headers=[LIFETIME], body=str(asked.header("Host")).encode()
    )
    nginx = store(url=raw_origin.url, listen="http2", server="server_name site.example;")
    with H2Client(nginx.port) as client:
        for _ in range(2):
            assert client.get("/p", authority="site.example").body == b"site.example"
            time.sleep(0.03)
        assert client.get("/p", authority="site.example").cache == ("hit", "fresh")
        assert client.get("/p", authority="evil.example").body == b"evil.example"

"""gRPC through a location that stores: every call is a POST, whose answer waits until the page under
its key is gone, and comes with its trailers."""

import pytest
from support.grpc_origin import GrpcOrigin, framed
from support.h2client import H2Client
from support.stored import key_of, page

CALL = [("content-type", "application/grpc"), ("te", "trailers")]


@pytest.fixture
def application():
    application = GrpcOrigin()
    yield application
    application.stop()


@pytest.fixture
def nginx(store, redis, application, door):
    cache = "redis_cache_store on; redis_cache_status_header on;"
    if door == "pass":
        place = f"""
            location /echo. {{ redis_cache_pass {redis.url}; redis_cache_fallback @grpc; {cache} }}
            location @grpc {{ grpc_pass {application.url}; }}
        """
    else:
        place = f"location /echo. {{ redis_cache {redis.url}; {cache} grpc_pass {application.url}; }}"
    return store(locations=place, listen="http2")


def call(client, target="/echo.Echo/Say", body=b""):
    return client.start(target, "POST", headers=CALL, body=framed(body))


def test_calls_that_are_answered(nginx, application, redis, stored):
    key = key_of(nginx, "/echo.Echo/Say")
    redis.set(key, page("stored"))
    with H2Client(nginx.port) as client:
        streams = {n: call(client, body=b"message %d" % n) for n in range(20)}
        for n, stream in streams.items():
            response = client.response(stream)
            assert (response.status, response.body) == (200, framed(b"message %d" % n))
            assert response.header("grpc-status") == "0"
            assert response.cache == ("fwd=method", "method")
    assert len(application.requests) == 20
    assert b"stored" not in (stored(nginx, key=key) or b"")


def test_an_answer_of_many_messages(nginx, application):
    messages = [framed(b"%d" % n * 50) for n in range(300)]
    application.answer = lambda asked: (messages, 0)
    with H2Client(nginx.port) as client:
        response = client.response(call(client))
        assert response.body == b"".join(messages) and response.header("grpc-status") == "0"


def test_an_answer_that_is_a_status_alone(nginx, application):
    application.answer = lambda asked: ([], 5)
    with H2Client(nginx.port) as client:
        for _ in range(3):
            response = client.response(call(client))
            assert (response.status, response.body) == (200, b"")
            assert response.header("grpc-status") == "5"


def test_calls_while_redis_is_away(nginx, application, redis):
    redis.kill()
    with H2Client(nginx.port) as client:
        for n in range(10):
            response = client.response(call(client, body=b"%d" % n))
            assert (response.body, response.header("grpc-status")) == (framed(b"%d" % n), "0")


def test_a_call_that_is_given_up(nginx, application):
    with H2Client(nginx.port) as client:
        streams = {n: call(client, body=b"%d" % n) for n in range(40)}
        for n in list(streams)[::2]:
            client.reset(streams[n])
        for n in list(streams)[1::2]:
            assert client.response(streams[n]).body == framed(b"%d" % n)

"""nginx's DAV in a location that stores: what is put, moved or deleted is no longer a page."""

import pytest


@pytest.fixture
def nginx(start_nginx, redis, io, tmp_path):
    (tmp_path / "files").mkdir()
    return start_nginx(
        server=f"""
            redis_cache_io {io};
            location / {{
                redis_cache {redis.url}; redis_cache_store on; redis_cache_status_header on;
                redis_cache_connect_timeout 2s; redis_cache_timeout 2s;
                redis_cache_valid 200 1h;
                root {tmp_path}/files; dav_methods PUT DELETE MKCOL COPY MOVE;
            }}
        """
    )


def filled(nginx, stored, target, body):
    """The page is asked for, stored, and then answered from Redis."""
    assert nginx.get(target).body == body
    assert stored(nginx, target, within=2).endswith(body)
    response = nginx.get(target)
    assert (response.body, response.cache) == (body, ("hit", "fresh"))


def test_a_file_that_is_put_again(nginx, stored):
    bodies = [b"one", b"two and more", b"x" * 300_000, b""]
    for n, body in enumerate(bodies):
        response = nginx.request("PUT", "/f", body=body)
        assert (response.status, response.body) == ((204, b"") if n else (201, response.body))
        assert nginx.get("/f").cache[0] == "fwd=uri-miss"
        filled(nginx, stored, "/f", body)


def test_a_file_that_is_put_where_none_was(nginx, stored):
    """The 404 is nginx's own, which is never stored."""
    for _ in range(2):
        assert nginx.get("/f").status == 404
    assert stored(nginx, "/f") is None
    assert nginx.request("PUT", "/f", body=b"one").status == 201
    filled(nginx, stored, "/f", b"one")


def test_a_file_that_is_deleted(nginx, stored):
    nginx.request("PUT", "/f", body=b"one")
    filled(nginx, stored, "/f", b"one")
    assert nginx.request("DELETE", "/f").status == 204
    assert nginx.get("/f").status == 404


def test_a_file_that_is_moved(nginx, stored):
    """RFC 9111, 4.4: the page of the request's own URI; Destination is none of them."""
    nginx.request("PUT", "/f", body=b"one")
    filled(nginx, stored, "/f", b"one")
    host = f"http://127.0.0.1:{nginx.port}"
    assert nginx.request("COPY", "/f", {"Destination": f"{host}/g"}).status == 204
    filled(nginx, stored, "/g", b"one")
    assert nginx.request("MOVE", "/f", {"Destination": f"{host}/h"}).status == 204
    assert nginx.get("/f").status == 404
    filled(nginx, stored, "/h", b"one")


def test_a_directory_that_is_made(nginx, stored):
    assert nginx.request("MKCOL", "/d/").status == 201
    assert nginx.get("/d/").status == 403
    assert nginx.request("PUT", "/d/f", body=b"one").status == 201
    filled(nginx, stored, "/d/f", b"one")
    assert nginx.request("DELETE", "/d/", {"Depth": "infinity"}).status == 204
    assert nginx.get("/d/").status == 404


@pytest.mark.parametrize("method", ["DELETE", "MKCOL", "MOVE"])
def test_a_method_that_is_refused_changes_nothing(nginx, stored, method):
    nginx.request("PUT", "/f", body=b"one")
    filled(nginx, stored, "/f", b"one")
    target = {"DELETE": "/f/", "MKCOL": "/f", "MOVE": "/f"}[method]
    assert nginx.request(method, target).status >= 400
    assert nginx.get("/f").cache == ("hit", "fresh")

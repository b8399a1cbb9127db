"""Storing beside filters: what is stored is the application's body, before ssi, gzip, sub_filter and
the like, which act on it each time it is sent."""

import gzip

import pytest
from support.origin import Answer
from support.pages import FRESH, HTML, answers, count, settled


def test_ssi_parts_are_stored_apart(store, origin, stored):
    nginx = store(http="ssi on;")
    outer = b'<<!--# include virtual="/part" --><!--# include virtual="/mine" -->>'
    mine = lambda: Answer(
        b"mine %d" % len(origin.requests), headers=[("Cache-Control", "private"), HTML]
    )  # noqa: E731
    answers(origin, {"/outer": outer, "/part": b"part"})
    usual = origin.answer
    origin.answer = lambda asked: mine() if asked.target == "/mine" else usual(asked)
    bodies = [settled(nginx, "/outer").body for _ in range(3)]
    assert all(body.startswith(b"<partmine ") for body in bodies)
    assert len(set(bodies)) == 3, "a part that is one visitor's was kept in the page around it"
    assert stored(nginx, "/mine") is None
    assert stored(nginx, "/part").endswith(b"\r\n\r\npart")
    assert stored(nginx, "/outer").endswith(outer)
    assert count(origin, "/part") == count(origin, "/outer") == 1
    assert nginx.get("/part").body == b"part"


def test_the_part_does_not_get_the_conditions_of_the_page(store, origin, stored):
    nginx = store(http="ssi on;")
    answers(origin, {"/outer": b'<<!--# include virtual="/part" -->>', "/part": b"part"})
    for headers in [{"If-None-Match": "*"}, {"Range": "bytes=0-1"}, {"If-Modified-Since": "x"}, {}]:
        settled(nginx, "/outer", headers)
    assert nginx.get("/outer").body == b"<part>"
    assert stored(nginx, "/part").endswith(b"\r\n\r\npart")


@pytest.mark.parametrize("setting", ["off", "on"])
def test_gzip(store, origin, stored, setting):
    body = b"compressible " * 500
    answers(origin, {"/p": Answer(body, headers=[*FRESH, ("ETag", '"1"')])})
    nginx = store(http=f"gzip {setting}; gzip_proxied any; gzip_vary on;")
    for accepts in ["gzip", None, "gzip", "identity", "br, gzip;q=0.5", None]:
        response = settled(nginx, headers={"Accept-Encoding": accepts} if accepts else {})
        coded = response.header("Content-Encoding") == "gzip"
        assert coded == (setting == "on" and bool(accepts) and "gzip" in accepts)
        assert (gzip.decompress(response.body) if coded else response.body) == body
        assert response.header("ETag") == ('W/"1"' if coded else '"1"')
    assert count(origin, "/p") == 1
    assert stored(nginx).endswith(b"\r\n\r\n" + body)


def test_filters_of_the_location_act_once(store, origin, stored):
    answers(
        origin,
        {
            "/p": Answer(
                b"name name", headers=[HTML, ("Cache-Control", "max-age=60"), ("X-App", "1")]
            )
        },
    )
    filters = "add_header X-Own 1; sub_filter name NAMEname; sub_filter_once off; sub_filter_last_modified on;"
    nginx = store(http=filters)
    first, second = settled(nginx), settled(nginx)
    assert second.cache == ("hit", "fresh")
    assert first.body == second.body == b"NAMEname NAMEname"
    assert first.all("X-Own") == second.all("X-Own") == ["1"]
    assert second.all("X-App") == ["1"] and second.all("Cache-Control") == ["max-age=60"]
    assert stored(nginx).endswith(b"\r\n\r\nname name") and b"X-Own" not in stored(nginx)


def test_the_expires_directive_is_no_lifetime_of_the_application(store, origin, stored):
    answers(origin, {"/p": Answer(b"page", headers=[HTML])})
    nginx = store(http="expires 1h;")
    for _ in range(2):
        response = settled(nginx)
        assert response.all("Cache-Control") == ["max-age=3600"]
    assert count(origin, "/p") == 2 and stored(nginx) is None
    answers(origin, {"/q": b"page"})
    for _ in range(2):
        response = settled(nginx, "/q")
    assert response.cache == ("hit", "fresh") and len(response.all("Expires")) == 1
    assert b"Expires" not in stored(nginx, "/q")

"""A page of somebody who is logged in is never in Redis: with Django's own users and sessions."""

import re
import urllib.parse

import pytest

NAME = "ada.l"


@pytest.fixture(params=["sync", "async"])
def site(request, start_django):
    site = start_django(is_async=request.param == "async")
    site.manage("migrate", "--verbosity", "0")
    site.manage(code="from django.contrib.auth.models import User\n"
                     f"User.objects.create_user('{NAME}', password='secret word')")  # fmt: skip
    return site


def log_in(nginx):
    """The cookies of a visitor who logged in."""
    form = nginx.get("/login/")
    token = re.search(rb'value="(\w+)"', form.body)[1].decode()
    fields = {"username": NAME, "password": "secret word", "csrfmiddlewaretoken": token}
    body = urllib.parse.urlencode(fields).encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": form.header("Set-Cookie").split(";")[0],
    }
    response = nginx.request("POST", "/login/", headers, body)
    assert response.status == 302, response.body
    cookies = [re.match(r"[^;]+", value)[0] for value in response.all("Set-Cookie")]
    assert any(cookie.startswith("sessionid=") for cookie in cookies)
    return {"Cookie": "; ".join(cookies)}


def values(redis):
    with redis.client() as client:
        return {key: client.get(key) for key in client.keys()}


@pytest.mark.parametrize("bypass", ["", "redis_cache_bypass $cookie_sessionid;"])
def test_pages_of_a_user(site, behind_nginx, redis, bypass):
    """Also where nginx was not told of the cookie of the session."""
    nginx = behind_nginx(site, bypass)
    cookies = log_in(nginx)
    for target in ("/user/", "/session-read/", "/session/", "/message/", "/csrf/"):
        for _ in range(2):
            response = nginx.get(target, cookies)
            assert response.status == 200
            assert response.cache[0] != "hit", target
    assert NAME.encode() in nginx.get("/user/", cookies).body
    assert values(redis) == {}
    stranger = nginx.get("/user/")
    assert b"nobody" in stranger.body
    assert NAME.encode() not in stranger.body
    assert values(redis) == {}


def test_a_page_for_everybody_that_a_user_was_the_first_to_see(site, behind_nginx, redis):
    nginx = behind_nginx(site)
    cookies = log_in(nginx)
    first = nginx.get("/page/", cookies)
    assert nginx.get("/page/").body == first.body
    assert nginx.get("/page/").header("Set-Cookie") is None
    [value] = values(redis).values()
    assert b"cookie" not in value.lower()
    assert NAME.encode() not in value


def test_a_stranger_does_not_log_in_by_a_stored_page(site, behind_nginx, redis):
    nginx = behind_nginx(site)
    assert nginx.get("/csrf/").header("Set-Cookie").startswith("csrftoken=")
    one, two = nginx.get("/csrf/"), nginx.get("/csrf/")
    assert one.header("Set-Cookie") != two.header("Set-Cookie")
    assert values(redis) == {}

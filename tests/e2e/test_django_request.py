"""Query and cookies: Django stores under the key that nginx made of them, and purges it by URL."""

import pytest

OPTIONS = {"ARGS": "drop=tracking sort", "COOKIES": ["django_language"], "EXPLAIN": True}
COUNTED = "redis_cache_args drop=tracking sort; redis_cache_cookies django_language;"


@pytest.fixture(params=[False, True], ids=["wsgi", "asgi"])
def nginx(request, start_django, behind_nginx):
    return behind_nginx(start_django(LOCALE="1", options=OPTIONS, is_async=request.param), COUNTED)


def chosen(nginx, target, language, others=""):
    return nginx.get(target, {"Cookie": f"_ga=1; django_language={language}{others}"})


def test_a_language_that_a_cookie_chose_is_in_the_key(nginx):
    for language in ("de", "en"):
        first = chosen(nginx, "/language/", language)
        assert first.header("X-Redis-Cache-Store") == "stored"
        assert first.body.startswith(language.encode())
    for language in ("de", "en"):
        again = chosen(nginx, "/language/", language, others="; theme=dark")
        assert again.cache[0] == "hit"
        assert again.body.startswith(language.encode())


def test_a_page_that_varies_on_cookies(nginx):
    for cookies in ({}, {"Cookie": "django_language=de"}):
        assert nginx.get("/vary-cookie/", cookies).header("X-Redis-Cache-Store") == "stored"
    plain = nginx.get("/vary-cookie/", {"Cookie": "_ga=2"})
    german = chosen(nginx, "/vary-cookie/", "de")
    assert (plain.cache[0], german.cache[0]) == ("hit", "hit")
    assert plain.body != german.body


def test_a_campaign_fills_the_page_of_all(nginx):
    first = nginx.get("/page/?b=2&utm_source=x&a=1")
    assert first.header("X-Redis-Cache-Store") == "stored"
    hit = nginx.get("/page/?a=1&b=2&gclid=3")
    assert (hit.cache[0], hit.body) == ("hit", first.body)


def test_a_purge_names_the_url_of_a_campaign(nginx):
    nginx.get("/page/")
    url = f"http://127.0.0.1:{nginx.port}/page/?utm_source=x"
    assert nginx.request("POST", f"/purge/?url={url}").body == b"1"
    assert nginx.get("/page/").cache[0] != "hit"

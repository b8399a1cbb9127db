"""Pages in several languages: each visitor gets the one of Accept-Language, also from Redis."""

import re

import pytest

LANGUAGES = {"de": b"de ", "de-AT,en;q=0.5": b"de ", "en": b"en ", "fr": b"en ", None: b"en "}


def ask(nginx, target, language, **headers):
    if language is not None:
        headers["Accept-Language"] = language
    return nginx.get(target, headers)


@pytest.mark.parametrize("is_async", [False, True])
def test_languages(start_django, behind_nginx, is_async):
    site = start_django(LOCALE="1", is_async=is_async)
    nginx = behind_nginx(site)
    first = {lang: ask(nginx, "/language/", lang) for lang in LANGUAGES}
    again = {lang: ask(nginx, "/language/", lang) for lang in LANGUAGES}
    for language, begin in LANGUAGES.items():
        assert first[language].body.startswith(begin)
        assert again[language].cache[0] == "hit", language
        assert again[language].body == first[language].body
        assert again[language].header("Content-Language") == begin.strip().decode()
    runs = {re.search(rb"run (\d+)", page.body)[1] for page in first.values()}
    assert len(runs) == len(LANGUAGES)


def test_a_purge_reaches_all_languages(start_django, behind_nginx):
    site = start_django(LOCALE="1")
    nginx = behind_nginx(site)
    for language in ("de", "en"):
        ask(nginx, "/language/", language)
    url = f"http://127.0.0.1:{nginx.port}/language/"
    assert nginx.request("POST", f"/purge/?url={url}").body == b"1"
    for language in ("de", "en"):
        assert ask(nginx, "/language/", language).cache[0] != "hit"
        assert ask(nginx, "/language/", language).cache[0] == "hit"


def test_a_language_that_a_cookie_chose_reaches_nobody_else(start_django, behind_nginx):
    site = start_django(LOCALE="1")
    nginx = behind_nginx(site, "redis_cache_bypass $cookie_django_language;")
    chosen = ask(nginx, "/language/", "en", Cookie="django_language=de")
    assert chosen.body.startswith(b"de ")
    assert ask(nginx, "/language/", "en").body.startswith(b"en ")
    assert ask(nginx, "/language/", "en").cache[0] == "hit"
    again = ask(nginx, "/language/", "en", Cookie="django_language=de")
    assert again.body.startswith(b"de ")


def test_another_header(start_django, behind_nginx):
    site = start_django(options={"VARY": ["X-Device"]})
    nginx = behind_nginx(site)
    for device in ("phone", "tv"):
        assert nginx.get("/device/", {"X-Device": device}).body.startswith(device.encode())
    for device in ("phone", "tv"):
        hit = nginx.get("/device/", {"X-Device": device})
        assert (hit.cache[0], hit.body.split()[0]) == ("hit", device.encode())

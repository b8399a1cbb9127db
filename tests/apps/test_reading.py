"""Anonymous reading of each application: nearly all is answered from the cache, and nothing is another
page than the application's own."""

import pytest

from apps.crawl import ANALYTICS, campaign, read

GOAL = 0.95


def unchanged(target):
    return target


READERS = {
    "plain": ({}, unchanged),
    "analytics": (ANALYTICS, unchanged),
    "campaigns": ({}, campaign),
    "both": (ANALYTICS, campaign),
}


def twice(edge, **reader):
    """What a second reading comes to; neither has a wrong page."""
    pages = {target: edge.site.says(target) for target in edge.targets}
    assert len(pages) >= 50
    first = read(edge.site, pages, edge.cached, **reader)
    assert not first.wrong, first
    second = read(edge.site, pages, edge.cached, **reader)
    assert not second.wrong, second
    print(second)
    return second


@pytest.mark.parametrize("reader", READERS)
def test_what_was_read_is_in_the_cache(edge, reader):
    cookies, rewrite = READERS[reader]
    second = twice(edge, cookies=cookies, rewrite=rewrite)
    assert second.share >= GOAL, second


def test_cookies_of_the_site_itself_do_not_matter(edge):
    """Those that a visitor gets who is not logged in: sessions of everybody, CSRF tokens."""
    visitor = edge.visitor()
    for target in edge.app.sets_cookies:
        visitor.get(target)
    assert bool(visitor.cookies) == bool(edge.app.sets_cookies)
    second = twice(edge, cookies=visitor.cookies)
    assert second.share >= GOAL, second


def test_what_the_operator_writes(edge):
    assert 0 < len(edge.written) <= 12, edge.written


def test_the_first_of_a_campaign_is_nowhere_in_the_cache(edge):
    """Neither the parameters nor the cookies of who filled it."""
    for target in edge.targets:
        sign = "&" if "?" in target else "?"
        edge.visitor(cookies={"_ga": "traceofga"}).get(f"{target}{sign}utm_source=traceofutm")
    stored = edge.stored()
    assert len(stored) >= GOAL * 50
    for key, value in stored.items():
        assert b"traceof" not in key + value, key

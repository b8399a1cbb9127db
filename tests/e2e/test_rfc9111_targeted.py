"""RFC 9213: CDN-Cache-Control takes the place of Cache-Control and Expires where it is there and can
be parsed; it is a dictionary structured field (RFC 8941)."""

import pytest
from support.site import http_date, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {
        "/valid/": "redis_cache_valid 1h;",
        "/ignore/": "redis_cache_ignore_headers CDN-Cache-Control;",
    }
    with site(tmp_path_factory.mktemp("site"), places) as cache:
        yield cache


def headers(targeted, control=None, **more):
    fields = [
        ("CDN-Cache-Control", value)
        for value in ([targeted] if isinstance(targeted, str) else targeted)
    ]
    if control is not None:
        fields.append(("Cache-Control", control))
    return [*fields, *((name.replace("_", "-"), value) for name, value in more.items())]


REUSED = [
    ("max-age=3600", None),
    ("max-age=3600", "no-store"),
    ("max-age=3600", "private"),
    ("max-age=3600", "no-cache"),
    ("max-age=3600", "max-age=0"),
    ("max-age=3600", "s-maxage=0"),
    ("max-age=3600, public", "no-store"),
    ("public, max-age=3600", "no-store"),
    ("s-maxage=3600", "no-store"),
    (["public", "max-age=3600"], "no-store"),
    ("max-age=1, max-age=3600", "no-store"),
    ("max-age=3600;foo=bar", "no-store"),
    ("foo=(1 2);a=b, max-age=3600", "no-store"),
    ("max-age=3600, private=?0", "no-store"),
]


@pytest.mark.parametrize(("targeted", "control"), REUSED)
def test_the_targeted_field_counts(cache, targeted, control):
    """2.2: MUST ignore Cache-Control and Expires when a valid, nonempty targeted field is there; of
    two equal keys the last counts (RFC 8941, 4.2.2)."""
    assert cache.reuses(headers(targeted, control))
    assert cache.reuses(headers(targeted, control, Expires=http_date(-5)))


NOT_REUSED = [
    ("no-store", "max-age=3600"),
    ("private", "max-age=3600"),
    ("no-cache", "max-age=3600"),
    ("max-age=0", "max-age=3600"),
    ("max-age=3600, no-store", "max-age=3600"),
    ("max-age=3600, max-age=0", "max-age=3600"),
    (["max-age=3600", "no-store"], "max-age=3600"),
    ("no-store;foo=bar", "max-age=3600"),
    ("no-store=?1", "max-age=3600"),
]


@pytest.mark.parametrize(("targeted", "control"), NOT_REUSED)
def test_the_targeted_field_forbids(cache, targeted, control):
    assert not cache.reuses(headers(targeted, control, Expires=http_date(3600)))


def test_without_a_lifetime_of_its_own_no_other_field_gives_one(cache):
    assert not cache.reuses(headers("public", "max-age=3600", Expires=http_date(3600)))
    assert cache.reuses(headers("public", "no-store"), place="/valid/")


INVALID = ["max-age=3600, &&&", "max-age=3600,", "max-age 3600", 'foo="bar, max-age=3600', "MAX-AGE=3600",
           "max-age=3600, Public", "", " ", "\xe9=1", "max-age="]  # fmt: skip


@pytest.mark.parametrize("value", INVALID)
def test_what_does_not_parse_is_ignored(cache, value):
    """2.1: a field that cannot be parsed, or is empty, MUST be ignored: Cache-Control counts."""
    assert not cache.reuses(headers(value, "no-store"))
    assert cache.reuses(headers(value, "max-age=3600"))


@pytest.mark.parametrize("value", ['max-age="3600"', "max-age=3600.0", "max-age=-1", "max-age", "max-age=?1",
                                   "max-age=(3600)", "max-age=99999999999999999999"])  # fmt: skip
def test_a_lifetime_of_another_type_is_no_lifetime(cache, value):
    """2.1: the values that a directive takes are its own; an Integer for max-age."""
    assert not cache.reuses(headers(value))
    assert not cache.reuses(headers(value, "no-store"))


def test_other_targets_mean_nothing(cache):
    for name in ["Surrogate-Control", "Other-CDN-Cache-Control", "CDN-Cache-Controls"]:
        assert not cache.reuses([(name, "max-age=3600")])
        assert cache.reuses([(name, "no-store"), ("Cache-Control", "max-age=3600")])


def test_it_is_sent_on(cache):
    """2.2: the field is not removed on the way; what is behind this cache may need it."""
    first, second, count = cache.twice(headers("max-age=3600", "no-store"))
    assert count == 1
    assert first.all("CDN-Cache-Control") == second.all("CDN-Cache-Control") == ["max-age=3600"]
    assert second.all("Cache-Control") == ["no-store"]


def test_ignored_it_does_not_count(cache):
    assert cache.reuses(headers("no-store", "max-age=3600"), place="/ignore/")
    assert not cache.reuses(headers("max-age=3600", "no-store"), place="/ignore/")


def test_a_cookie_is_ones_own_all_the_same(cache):
    assert not cache.reuses(headers("max-age=3600", Set_Cookie="a=alice"))


def test_its_age_counts(cache):
    assert not cache.reuses(headers("max-age=3600", Age="3600"))
    assert cache.reuses(headers("max-age=3600", Age="3500"))

"""RFC 9111 sections 4.2.1, 5.2 and 1.2.2, RFC 9110 section 5.6: the grammar of Cache-Control,
delta-seconds and dates. What is invalid is stale, and never a longer life than what was said."""

import time

import pytest
from support.site import http_date


FRESH = [
    ["max-age=3600"], ["MAX-AGE=3600"], ["Max-Age=3600"], ["s-maxage=3600"], ["S-MaxAge=3600"],
    ["public, max-age=3600"], ["max-age=3600,public"], ["max-age=3600 ,\tpublic"],
    [",max-age=3600"], [", ,max-age=3600,,"], ["public", "max-age=3600"], ["max-age=3600", "public"],
    ["", "max-age=3600"], ["max-age=003600"], ["foo, max-age=3600"], ["foo=bar, max-age=3600"],
    ['foo="bar", max-age=3600'], ['foo="max-age=0", max-age=3600'], ['foo="a,b", max-age=3600'],
    ['foo="\\"", max-age=3600'], ["max-age=3600, must-revalidate"], ["max-age=3600, no-transform"],
    ["max-age=3600, immutable"], ["max-age=3600, proxy-revalidate"], ["max-age=2147483647"],
    ["max-age=2147483648"], ["max-age=4294967296"], ["max-age=99999999999"],
    ["max-age=9223372036854775807"], ["max-age=9223372036854775808"],
    ["max-age=99999999999999999999999999"], ["s-maxage=18446744073709551616"],
    ["max-age=0, s-maxage=3600"], ["s-maxage=3600, max-age=0"],
]  # fmt: skip


@pytest.mark.parametrize("values", FRESH, ids=" | ".join)
def test_a_valid_lifetime_is_used(cache, values):
    assert cache.reuses([("Cache-Control", value) for value in values])


STALE = [
    ["max-age=0"], ["max-age=-1"], ["max-age=-3600"], ["max-age"], ["max-age="], ["max-age=x"],
    ["max-age=3600.5"], ["max-age=3600x"], ["max-age=1e9"], ["max-age=0x1000"], ["max-age=+3600"],
    ["max-age: 3600"], ["max-age 3600"], ["max_age=3600"], ["maxage=3600"], ["xmax-age=3600"],
    ["max-age=3600 4000"], ["max-age='3600'"], ["s-maxage=0, max-age=3600"], ["s-maxage=0"],
    ["max-age=3600, s-maxage=0"], ["s-maxage=x, max-age=3600"], ["s-maxage=-1, max-age=3600"],
    ["s-maxage, max-age=3600"], ['foo="max-age=3600"'], ['foo="bar, max-age=3600'],
    ["foo;max-age=3600"], ["\xa0max-age=3600"], ["max-age=\xb2\xb2"],
]  # fmt: skip


@pytest.mark.parametrize("values", STALE, ids=lambda values: " | ".join(values).encode().hex(" "))
def test_an_invalid_or_zero_lifetime_is_stale(cache, values):
    assert not cache.reuses([("Cache-Control", value) for value in values])


@pytest.mark.parametrize("values", [["max-age=0", "max-age=3600"], ["max-age=0, max-age=3600"],
                                    ["s-maxage=0, s-maxage=3600, max-age=60"]])  # fmt: skip
def test_of_two_lifetimes_never_the_longer_second(cache, values):
    """4.2.1: either the first occurrence or stale."""
    assert not cache.reuses([("Cache-Control", value) for value in values])


@pytest.mark.parametrize("value", ["max-age=3600, no-cache", "no-cache, max-age=3600",
                                   "max-age=3600, private, public", "no-store, public, max-age=9"])  # fmt: skip
def test_of_conflicting_directives_the_most_restrictive(cache, value):
    assert not cache.reuses([("Cache-Control", value)])


@pytest.mark.parametrize("value", ['max-age="3600"', 's-maxage="3600"'])
def test_a_quoted_lifetime_is_its_number_or_stale(cache, value):
    """5.2: recipients ought to accept both forms; never a lifetime beyond the number."""
    headers = [("Cache-Control", value), ("Age", "3601")]
    assert not cache.reuses(headers)
    assert cache.reuses([("Cache-Control", value)])


def expires_formats(offset):
    import time

    gmt = time.gmtime(time.time() + offset)
    return [
        time.strftime("%a, %d %b %Y %H:%M:%S GMT", gmt),
        time.strftime("%A, %d-%b-%y %H:%M:%S GMT", gmt),
        time.strftime("%a %b %e %H:%M:%S %Y", gmt),
    ]


@pytest.mark.parametrize("form", [0, 1, 2], ids=["IMF", "RFC 850", "asctime"])
def test_all_three_forms_of_a_date(cache, form):
    """RFC 9110, 5.6.7: a recipient MUST accept all three HTTP-date formats."""
    assert cache.reuses([("Expires", expires_formats(3600)[form])])
    assert not cache.reuses([("Expires", expires_formats(-3600)[form])])
    assert cache.reuses([("Date", expires_formats(-10)[form]), ("Expires", http_date(3600))])


INVALID_DATES = ["0", "-1", "", "never", "3600", "Thu, 99 Dec 2099 00:00:00 GMT",
                 "Mon, 30 Feb 2099 10:00:00 GMT", "2099-01-01T00:00:00Z",
                 "Thu, 01 Jan 2099 25:00:00 GMT", "Thu, 01 Jan 2099"]  # fmt: skip


@pytest.mark.parametrize("value", INVALID_DATES)
def test_an_invalid_expires_is_in_the_past(cache, value):
    """5.3: especially the value "0"."""
    assert not cache.reuses([("Expires", value)])


FORMS = [
    "Thu, 18 Aug 2050 02:01:18 GMT", "THU, 18 Aug 2050 02:01:18 GMT", "Thu, 18 AUG 2050 02:01:18 GMT",
    "thu, 18 aug 2050 02:01:18 gMT", "Thursday, 18-Aug-50 02:01:18 GMT",
    "THURSDAY, 18-AUG-50 02:01:18 GMT", "Thu Aug 18 02:01:18 2050", "Mon Aug  8 02:01:18 2050",
    "Thu Aug  8 02:01:18 2050", "Tue, 19 Jan 2038 14:14:08 GMT", "Sun, 21 Nov 2286 04:46:39 GMT",
]  # fmt: skip


@pytest.mark.parametrize("value", FORMS)
def test_a_date_in_every_form_and_case(cache, value):
    """RFC 9110, 5.6.7; 4.2: without regard to case."""
    assert cache.reuses([("Expires", value)])


@pytest.mark.parametrize(
    "value",
    [
        "Thu, 18 Aug 2050 02:01:18 UTC", "Thu, 18 Aug 2050 02:01:18 AEST", "Thu, 18 Aug 50 02:01:18 GMT",
        "Thu 18 Aug 2050 02:01:18 GMT", "Thu, 18  Aug  2050 02:01:18 GMT",
        "Thu, 18-Aug-2050 02:01:18 GMT", "Thu, 18 Aug 2050 02.01.18 GMT",
        "Thu, 18 Aug 2050 2:01:18 GMT", "Thu, 31 Jun 2050 02:01:18 GMT",
    ],
)  # fmt: skip
def test_what_is_of_no_form_is_in_the_past(cache, value):
    assert not cache.reuses([("Expires", value)])


ODD_DATES = ["Thu, 01 Jan 2099 00:00:00 +0000", "Thu, 01 Jan 2099 00:00:00 EST",
             "Thu, 01 Jan 2099 00:00:00 gmt", "01 Jan 2099 00:00:00 GMT",
             "Thu, 1 Jan 2099 0:0:0 GMT", "Fri, 01 Jan 2099 00:00:00 GMT"]  # fmt: skip


@pytest.mark.parametrize("value", ODD_DATES)
def test_an_expires_of_another_form_is_never_used_with_an_error(cache, value):
    """4.2: recipients are to be conservative about dates; 2099 in any zone is far ahead, so that
    storing it is right and leaving it out is safe; a page with it is served as any other."""
    first, second, count = cache.twice([("Expires", value)])
    assert (first.status, second.status) == (200, 200)
    assert second.body == b"answer %d" % count
    assert second.header("Expires") == value


@pytest.mark.parametrize("order", [1, -1])
def test_two_expires_fields(cache, order):
    """4.2.1: the first, or stale."""
    values = [http_date(3600), http_date(-3600)][::order]
    reused = cache.reuses([("Expires", value) for value in values])
    assert not reused or order == 1


def test_a_year_of_two_digits_is_of_this_century_or_of_the_past(cache):
    """RFC 9110, 5.6.7: more than 50 years ahead is the most recent year in the past."""
    assert not cache.reuses([("Expires", "Friday, 01-Jan-99 00:00:00 GMT")])
    assert not cache.reuses([("Expires", "Sunday, 06-Nov-94 08:49:37 GMT")])
    year = time.gmtime().tm_year
    for ahead, is_reused in [(49, True), (52, False)]:
        value = f"Sunday, 06-Nov-{(year + ahead) % 100:02} 08:49:37 GMT"
        assert cache.reuses([("Expires", value)]) == is_reused


def test_pragma_of_an_answer_means_nothing(cache):
    """5.4: Pragma is not specified for responses."""
    lifetime = ("Cache-Control", "max-age=3600")
    assert cache.reuses([lifetime, ("Pragma", "no-cache")])
    assert not cache.reuses([("Pragma", "max-age=3600")])

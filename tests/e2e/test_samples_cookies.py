"""Which cookies the samples bypass, with the names that applications set: every one that makes a page
another than for strangers, and none of the others."""

import re

import pytest
from support.nginx import ROOT

HASH = "1f9bbd9b5ddc0e0ea1ccf4ee4ac1ae2c"

# application, cookie, whether its pages are others with it
COOKIES = [
    ("Django", "sessionid", True),
    ("Django", "messages", True),
    ("Django", "django_language", True),
    # What shows the token sets the cookie anew, and is not stored.
    ("Django", "csrftoken", False),
    ("Laravel", "laravel_session", True),
    ("Laravel", "laravel-session", True),
    ("Laravel", "my_shop_session", True),
    ("Laravel", "remember_web_59ba36addc2b2f9401580f014c7f58ea4e30989d", True),
    ("Laravel", "laravel_maintenance", True),
    ("Laravel", "XSRF-TOKEN", False),
    ("Rails", "_my_shop_session", True),
    ("Rails", "_session_id", True),
    ("PHP", "PHPSESSID", True),
    ("MediaWiki", "wikidb_session", True),
    ("MediaWiki", "wikidbUserID", True),
    ("MediaWiki", "wikidbToken", True),
    ("MediaWiki", "UseCDNCache", True),
    # It stays behind when somebody logs out.
    ("MediaWiki", "wikidbUserName", False),
    ("DokuWiki", f"DW{HASH}", True),
    # The session that everybody has.
    ("DokuWiki", "DokuWiki", False),
    ("Symfony", "REMEMBERME", True),
    ("WordPress", f"wordpress_logged_in_{HASH}", True),
    ("WordPress", f"wordpress_{HASH}", True),
    ("WordPress", f"wordpress_sec_{HASH}", True),
    ("WordPress", f"wordpress_rec_{HASH}", True),
    ("WordPress", f"wp-postpass_{HASH}", True),
    ("WordPress", f"wp-resetpass-{HASH}", True),
    ("WordPress", f"wp-activate-{HASH}", True),
    ("WordPress", f"comment_author_{HASH}", True),
    ("WordPress", f"comment_author_email_{HASH}", True),
    ("WordPress", f"comment_author_url_{HASH}", True),
    # The login form sets these two for everybody; the settings count beside wordpress_logged_in_.
    ("WordPress", "wordpress_test_cookie", False),
    ("WordPress", "wp_lang", False),
    ("WordPress", "wp-settings-1", False),
    ("WordPress", "wp-settings-time-1", False),
    ("WooCommerce", f"wp_woocommerce_session_{HASH}", True),
    ("WooCommerce", "woocommerce_items_in_cart", True),
    ("WooCommerce", "woocommerce_cart_hash", True),
    ("WooCommerce", "woocommerce_recently_viewed", True),
    *[("WooCommerce", f"sbjs_{name}", False) for name in ["session", "current", "first", "udata"]],
    ("WooCommerce", f"store_notice{HASH}", False),
    *[
        ("analytics", name, False)
        for name in ["_ga", "_ga_ABC123", "_gid", "_gcl_au", "_fbp", "_pk_id.1.1fff", "_pk_ses.1.1fff",
                     "_hjSessionUser_1", "_hjSession_1", "_clck", "__utma", "cookie_consent"]
    ],
]  # fmt: skip

SAMPLES = {
    "bypass.conf": ["Django", "Laravel", "Rails", "PHP", "Symfony", "MediaWiki", "DokuWiki",
                    "WordPress", "WooCommerce"],
    "store-fallback.conf": ["PHP"],
    "wordpress.conf": ["WordPress", "WooCommerce"],
    "mediawiki.conf": ["MediaWiki"],
    "dokuwiki.conf": ["DokuWiki"],
    **dict.fromkeys(
        ["django.conf", "store.conf", "stale.conf", "balancer.conf", "cluster.conf", "sentinel.conf",
         "upstream-replicas.conf", "article-2014.conf", "wagtail.conf"],
        ["Django"],
    ),
}  # fmt: skip


def condition(sample):
    """The map over cookies of a sample, and the part of redis_cache_bypass that is about them."""
    text = (ROOT / "nginx-conf" / sample).read_text()
    maps = re.findall(r"(map \S*\$http_cookie\S* (\$\w+) \{.*?\n    \})", text, re.S)
    names = [name for _, name in maps]
    asked = re.findall(r"^ *redis_cache_bypass +(.+);", text, re.M)
    used = [word for line in asked for word in line.split() if word in names or "$cookie_" in word]
    blocks = "".join(block for block, _ in maps)
    return blocks, list(dict.fromkeys(used))


def test_every_sample_with_cookies_is_here():
    samples = (path.name for path in (ROOT / "nginx-conf").glob("*.conf"))
    assert sorted(SAMPLES) == sorted(name for name in samples if condition(name)[1])


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample(start_nginx, sample):
    maps, used = condition(sample)
    bypassed = "".join(f'if ({name}) {{ return 200 "yes"; }}' for name in used)
    nginx = start_nginx(http=maps, server=f'location / {{ {bypassed} return 200 "no"; }}')

    def answer(cookies):
        return nginx.get("/", {"Cookie": cookies}).body

    assert nginx.get("/").body == b"no"
    for application, name, personal in COOKIES:
        if personal and application not in SAMPLES[sample]:
            continue
        wanted = b"yes" if personal else b"no"
        for cookies in [f"{name}=x1", f"_ga=GA1.2.3; {name}=x1; _gid=1", f"a=1;{name}=x1"]:
            assert answer(cookies) == wanted, cookies
        # What a wiki's cookies begin with is its own affair.
        if "session" not in name and application != "MediaWiki":
            assert answer(f"not{name}=x1") == b"no", name
        assert answer(f"a={name}") == b"no", name


def test_operations_md_names_every_cookie_that_counts():
    text = (ROOT / "docs/operations.md").read_text()
    table = re.search(r"^### Cookies\n(.*?)(?=^##)", text, re.M | re.S)[1]
    for application, name, _ in COOKIES:
        if application == "analytics":
            continue
        short = name.replace(HASH, "...")
        row = next(line for line in table.splitlines() if line.startswith(f"| {application}"))
        given = [re.escape(shown).replace(r"\.\.\.", ".+") for shown in re.findall(r"`([^`]+)`", row)]
        assert any(re.fullmatch(shown, short) for shown in given), (application, name)

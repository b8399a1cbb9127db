"""docs/django.md against the code."""

import re
from dataclasses import fields

from conftest import ROOT

from nginx_redis_cache import add_tags, entry, purge, purge_tags  # noqa: F401
from nginx_redis_cache.conf import Settings

TEXT = (ROOT / "docs/django.md").read_text()
SOURCE = {path.name: path.read_text() for path in
          (ROOT / "integrations/django/src/nginx_redis_cache").glob("*.py")}  # fmt: skip


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)[1]


def words(title):
    cells = re.findall(r"^\| (`.*?|[EWI]\d.*?) \|", section(title), re.M)
    return [word for cell in cells for word in re.findall(r"[\w]+", cell)]


def test_every_setting_and_its_default():
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \|", section("Settings"), re.M)
    assert [name for name, _ in rows] == [field.name.upper() for field in fields(Settings)]
    for (_, shown), field in zip(rows, fields(Settings), strict=True):
        default = eval(shown)
        if isinstance(default, list):
            default = tuple(item.lower() for item in default)
        assert default == field.default, field.name


def test_every_reason():
    code = SOURCE["policy.py"] + SOURCE["render.py"] + SOURCE["store.py"] + SOURCE["keys.py"]
    returned = set(re.findall(r'(?:return|reason =|else|KeyFault\() ?"([a-z_]+)"', code))
    returned |= set(re.findall(r'return refused or "(\w+)"|"(unmarked)" if', code)[0])
    returned -= {"", "stored"}
    assert set(words("What is not stored")) == returned


def test_every_check():
    made = re.findall(r'_id\("(\w+)"\)', SOURCE["checks.py"])
    assert sorted(set(words("System checks")) & set(made)) == sorted(set(made))


def test_every_word_of_the_command():
    from django.core.management import load_command_class

    parser = load_command_class("nginx_redis_cache", "nginx_cache").create_parser(
        "m", "nginx_cache"
    )
    subparsers = next(a for a in parser._actions if a.dest == "word")
    for word in subparsers.choices:
        assert f"`manage.py nginx_cache {word} " in section("The command")


def test_the_acl_is_enough(site, redis, redis_server, settings):
    [line] = re.findall(r"^    ACL SETUSER django (.*)$", TEXT, re.M)
    redis.execute_command("ACL SETUSER", "django", *line.split())
    url = f"redis://django:secret@127.0.0.1:{redis_server.port}/{redis_server.db}"
    settings.NGINX_REDIS_CACHE = {"URL": url, "EXPLAIN": True}
    for target in ("/page/", "/tagged/a/", "/vary/?value=Accept-Language"):
        assert site.get(target)["X-Redis-Cache-Store"] == "stored"
    assert purge("http://testserver/page/") == 1
    # Over a tombstone: the script.
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    assert site.get("/slow/")["X-Redis-Cache-Store"] == "raced"
    assert purge_tags("tag-a") == 1
    assert entry.decode(redis.get(site.key("/page/"))) is None
    # redis-py asks for CLIENT SETINFO too, and goes on without.
    refused = {item["object"] for item in redis.acl_log()}
    assert refused <= {"client", "client|setinfo"}

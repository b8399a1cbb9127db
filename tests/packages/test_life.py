"""The life of the package on a machine, from installation to purge. The tests of a suite run in
this order on one box, each from where the one before left it."""

import pytest
from box import ENABLED, HOST, MODULE, readme_config, readme_page, readme_store_config
from django_package import STAND_IN, lacking, store_a_view
from roots import DJANGO_PACKAGE, PACKAGE, built_for_django, repack
from support.debian import Failed, run
from support.origin import Answer
from support.ports import wait_for

OTHER_ABI = "nginx-abi-0.0.0-0"


def hit(box) -> bool:
    key, value = readme_page()
    box.redis.set(key, value)
    target = key.partition(HOST)[2]
    response = box.get(target)
    return (response.status, response.body) == (200, value.partition("\r\n\r\n")[2].encode())


def under_load(box, act):
    """Runs `act` while clients ask: other workers follow, and every answer is the stored page or
    the application's."""
    workers = box.workers()
    with box.load() as load:
        wait_for(lambda: load.stored and load.application, "answers")
        act()
        wait_for(lambda: box.workers() and not box.workers() & workers, "other workers", 20)
        before = load.done
        wait_for(lambda: load.done > before + 50, "answers after it")
    assert not load.wrong, load.wrong[:5]


def test_install(box):
    """`apt install ./libnginx-mod-http-redis-cache_*.deb`, `nginx -t`"""
    box.apt("install", f"/{box.package.name}")
    box.nginx_version = box.root.version("nginx")
    depends = box.root.run("dpkg-query", "-W", "-f", "${Depends}", PACKAGE, namespaces=False)
    (box.abi,) = [word for word in depends.replace(",", " ").split() if "nginx-abi-" in word]
    assert (box.root.path / ENABLED).resolve().name == "mod-http-redis-cache.conf"
    passed, said = box.test_config()
    assert passed, said
    box.stock = box.config.read_text()


def test_hit(box):
    """README's configuration: HIT"""
    box.configure(readme_config())
    box.restart()
    assert hit(box)
    assert not box.origin.requests


def test_miss(box):
    """README's configuration: MISS"""
    response = box.get("/absent")
    assert (response.status, response.body) == (200, b"app GET /absent")
    assert box.origin.last.header("X-Redis-Cache-Key") == f"page:http://{HOST}/absent"


@pytest.fixture
def storing(box):
    """nginx stores; every answer of the application has its number."""
    answer, asked = box.origin.answer, len(box.origin.requests)

    def numbered(_) -> Answer:
        number = len(box.origin.requests) - asked
        return Answer(b"answer %d" % number, headers={"Cache-Control": "max-age=60"})

    box.origin.answer = numbered
    box.configure(readme_store_config())
    box.restart()
    yield f"page:http://{HOST}/stored"
    box.origin.answer = answer
    box.configure(readme_config())
    box.restart()


def test_store(box, storing):
    """README's `redis_cache_store on`: MISS and stored, HIT, invalidated by POST"""
    assert box.redis_cli("EXISTS", storing).strip() == "0"
    first = box.get("/stored")
    assert (first.body, first.cache[0]) == (b"answer 1", "fwd=uri-miss")
    wait_for(lambda: "answer 1" in box.redis_cli("GET", storing), "the page in Redis")
    assert 50 < int(box.redis_cli("TTL", storing)) <= 60

    second = box.get("/stored")
    assert (second.body, second.cache) == (b"answer 1", ("hit", "fresh"))

    with box.client() as client:
        assert client.request("POST", "/stored", body=b"").body == b"answer 2"
    tombstone = box.redis_cli("GET", storing)
    assert "gone=" in tombstone and "answer" not in tombstone
    third = box.get("/stored")
    assert (third.body, third.cache[0]) == (b"answer 3", "fwd=uri-miss")


def test_what_the_django_package_lacks(box, row):
    """`apt install ./python3-nginx-redis-cache_*.deb`: refused for want of"""
    deb = built_for_django(box.root.suite)
    if not deb:
        row("not built")
        pytest.skip("built with a profile, where hatchling is new enough")
    missing = lacking(box, deb)
    assert STAND_IN in missing
    with pytest.raises(Failed, match=rf"Depends: {STAND_IN} .* not installable"):
        box.apt("install", f"/{deb.name}")
    assert not box.root.version(DJANGO_PACKAGE)
    row(", ".join(missing))


def test_the_django_package(box, row):
    """with a stand-in for python3-http-sfv: a view that Django stores is a HIT"""
    deb = built_for_django(box.root.suite)
    if not deb or lacking(box, deb) != [STAND_IN]:
        row("not possible")
        pytest.skip("the suite lacks more than http-sfv")
    key = f"page:http://{HOST}/news/"
    try:
        store_a_view(box, deb, key)
        assert box.redis_cli("GET", key).endswith("news of Django\n")
        asked = len(box.origin.requests)
        assert box.get("/news/").body == b"news of Django"
        assert len(box.origin.requests) == asked
    finally:
        box.apt("purge", DJANGO_PACKAGE, STAND_IN)


def test_reload(box):
    """reload under load"""
    under_load(box, lambda: box.run("service", "nginx", "reload"))
    assert hit(box)


def test_upgrade(box):
    """upgrade of the package under load"""
    version = f"{box.root.version(PACKAGE)}+next"
    newer = box.copy(box.package, "newer.deb", Version=version)
    under_load(box, lambda: box.apt("install", newer))
    assert box.root.version(PACKAGE) == version
    assert hit(box)
    # The reload has not loaded the new file: a name that is loaded is not loaded again.
    assert box.mapped() == {f"{MODULE} (deleted)"}


def test_new_binary(box):
    """`service nginx upgrade` under load: the new file is loaded"""
    under_load(box, lambda: box.run("service", "nginx", "upgrade"))
    assert box.mapped() == {MODULE}
    assert hit(box)


def test_nginx_within_the_abi(box, row):
    """upgrade of nginx within its ABI, under load"""
    newest = box.root.versions("nginx")[0]
    older = box.root.versions("nginx")[1:]
    if older:
        box.apt("install", "--allow-downgrades", f"nginx={older[0]}", f"nginx-common={older[0]}")
        assert box.root.version("nginx") == older[0]
        assert hit(box)
        under_load(box, lambda: box.apt("upgrade"))
        assert box.root.version("nginx") == newest
        row(f"from {older[0].partition('-')[2]}")
    else:
        # The suite has one version alone: the same files under a later number.
        deb = box.copy(box.cached("nginx", newest), "nginx.deb", Version=f"{newest}+next")
        under_load(box, lambda: box.apt("install", deb))
        assert box.root.version("nginx") == f"{newest}+next"
        row("passed, a repacked one")
    assert box.root.version(PACKAGE)
    assert hit(box)


def test_another_abi_is_refused(box):
    """apt refuses the package for another ABI"""
    depends = box.root.run("dpkg-query", "-W", "-f", "${Depends}", PACKAGE, namespaces=False)
    other = depends.replace(box.abi, OTHER_ABI)
    wrong = box.copy(box.package, "wrong.deb", Version="99", Depends=other)
    with pytest.raises(Failed, match=f"Depends: {OTHER_ABI}"):
        box.apt("install", wrong)
    assert hit(box)


@pytest.fixture(scope="module")
def repository(box):
    """An archive whose nginx has another ABI."""
    directory = box.root.path / "srv/archive"
    directory.mkdir(parents=True)
    version = box.root.versions("nginx")[0]
    provides = box.root.run(
        "dpkg-query", "-W", "-f", "${Provides}", "nginx", namespaces=False
    ).replace(box.abi, OTHER_ABI)
    assert OTHER_ABI in provides
    repack(box.cached("nginx", version), directory / "nginx.deb", Version=f"{version}+other",
           Provides=provides)  # fmt: skip
    (directory / "Packages").write_text(run(["dpkg-scanpackages", "."], cwd=directory))
    listed = "/etc/apt/sources.list.d/other.list"
    (box.root.path / listed[1:]).write_text("deb [trusted=yes] file:/srv/archive ./\n")
    box.run("apt-get", "-q", "update", "-o", f"Dir::Etc::sourcelist={listed}",
            "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0")  # fmt: skip
    return f"{version}+other"


def test_another_abi_is_held(box, repository):
    """`apt upgrade` to an nginx of another ABI: held back"""
    before = box.root.version("nginx")
    assert repository in box.root.versions("nginx")
    box.apt("upgrade")
    assert box.root.version("nginx") == before
    assert box.root.version(PACKAGE)
    assert hit(box)


def test_a_held_package(box, repository):
    """`apt full-upgrade` to it, the module on hold: held back"""
    before = box.root.version("nginx")
    box.run("apt-mark", "hold", PACKAGE)
    box.apt("dist-upgrade")
    box.run("apt-mark", "unhold", PACKAGE)
    assert box.root.version("nginx") == before
    assert box.root.version(PACKAGE)
    assert hit(box)


def test_full_upgrade_to_another_abi(box, repository, row):
    """`apt full-upgrade` to it, without a hold"""
    before, master = box.root.version("nginx"), box.master()
    try:
        box.apt("dist-upgrade")
    except Failed as failure:
        # The configuration still has the module's directives: nginx's own upgrade ends there.
        assert "nginx failed" in str(failure)
        assert not box.root.version(PACKAGE)
        row("module removed, the old nginx goes on")
    else:
        assert box.root.version("nginx") == before and box.root.version(PACKAGE)
        row("held back")
    assert box.master() == master and hit(box)


def test_without_the_directives(box, repository):
    """that nginx, and the directives taken out: it starts"""
    box.configure(box.stock)
    box.apt("install", f"nginx={repository}")
    passed, said = box.test_config()
    assert passed, said
    box.restart()
    assert box.root.version("nginx") == repository and not box.root.version(PACKAGE)
    with box.client() as client:
        assert client.get("/").status == 200


def test_removal(box):
    """removed: no longer loaded, nginx starts"""
    version = box.root.versions("nginx")[1]
    box.apt("install", "--allow-downgrades", f"nginx={version}", f"/{box.package.name}")
    box.restart()
    assert box.mapped() == {MODULE}
    box.apt("remove", PACKAGE)
    assert not (box.root.path / ENABLED).exists()
    assert not (box.root.path / MODULE).exists()
    wait_for(lambda: not box.mapped(), "workers without the module", 20)
    passed, said = box.test_config()
    assert passed, said
    assert not box.bad_lines()


def test_purge(box):
    """purged: nothing is left"""
    box.apt("purge", PACKAGE)
    places = ["etc", "usr/lib/nginx", "usr/share", "var/lib"]
    found = [path for place in places for path in (box.root.path / place).rglob("*redis*cache*")]
    assert not found

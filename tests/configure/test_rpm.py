"""rpm/: the spec builds with macros like those of nginx-mod-devel, and the package holds what
nginx's packages of modules hold."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import run
from support.nginx import ROOT

SPEC = ROOT / "rpm/nginx-mod-http-redis-cache.spec"
MODULE = "/usr/lib64/nginx/modules/ngx_http_redis_cache_module.so"
CONF = "/usr/share/nginx/modules/mod-http-redis-cache.conf"


@pytest.fixture(scope="session")
def rpm(source, tmp_path_factory):
    top = tmp_path_factory.mktemp("rpm")
    sources = top / "SOURCES"
    sources.mkdir()
    version = run("rpmspec", "-q", "--qf", "%{version}", SPEC, "-D", "_nginx_abiversion 0")
    name = sources / f"nginx-redis-cache-{version.split()[-1]}"
    run(ROOT / "scripts/source-archives.sh", f"{name}.tar.xz", f"{name}-vendor.tar.xz")
    clean = top / "nginx"
    shutil.copytree(source, clean, ignore=shutil.ignore_patterns("objs*", "Makefile"))
    arch = run("rpm", "--eval", "%{_arch}").strip()
    own = str(ROOT / "tests/configure/macros.nginxmods")
    macros = ["/usr/lib/rpm/macros", f"/usr/lib/rpm/platform/{arch}-linux/macros",
              "/usr/lib/rpm/debian/macros", own]  # fmt: skip
    run(
        "rpmbuild", "-bb", "--nodeps", f"--macros={':'.join(macros)}",
        "-D", f"_topdir {top}", "-D", f"nginx_source {clean}", "-D", "nginx_version 1.28.3",
        "-D", "debug_package %{nil}", SPEC,
    )  # fmt: skip
    (built,) = top.glob("RPMS/*/*.rpm")
    return built


def asked(rpm, *questions) -> list[str]:
    result = subprocess.run(
        ["rpm", "--query", "--package", rpm, *questions], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return result.stdout.splitlines()


def test_the_files(rpm):
    doc = "/usr/share/doc/nginx-mod-http-redis-cache"
    licences = "/usr/share/licenses/nginx-mod-http-redis-cache"
    files = {path for path in asked(rpm, "--list") if not path.startswith("/usr/lib/.build-id")}
    wanted = {f"{licences}/{name}" for name in ("LICENSE", "LICENCES.txt")}
    wanted |= {f"{doc}/{name}" for name in ("README.md", "CHANGELOG.md")}
    for directory in ("docs", "nginx-conf", "integrations/wordpress", "integrations/dokuwiki"):
        root = ROOT / directory
        paths = (path.relative_to(root.parent) for path in root.rglob("*") if path.is_file())
        wanted |= {f"{doc}/{path}" for path in paths}
    wanted |= {MODULE, CONF}
    directories = {str(parent) for path in wanted for parent in Path(path).parents}
    assert files - directories == wanted


def test_it_requires_the_abi(rpm):
    assert "nginx(abi) = 1.28.3" in asked(rpm, "--requires")


def test_nginx_loads_what_is_in_it(rpm, serve, dynamic, tmp_path):
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    with subprocess.Popen(["rpm2cpio", rpm], stdout=subprocess.PIPE) as archive:
        subprocess.run(["cpio", "--quiet", "-idm"], stdin=archive.stdout, cwd=unpacked, check=True)
    assert (unpacked / CONF[1:]).read_text() == f'load_module "{MODULE}";\n'
    nginx = serve(nginx=[dynamic.nginx], module=unpacked / MODULE[1:])
    assert nginx.get("/absent").body == b"app GET /absent"


def test_the_version_is_the_projects():
    said = run("rpmspec", "-q", "--qf", "%{version}", SPEC, "-D", "_nginx_abiversion 0")
    lines = (ROOT / "Cargo.toml").read_text().splitlines()
    cargo = next(line for line in lines if line.startswith("version = "))
    assert said.split()[-1] == cargo.split('"')[1]

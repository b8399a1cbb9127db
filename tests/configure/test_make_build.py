"""`make build NGINX=...`: the module for an nginx that is not Debian's."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import QUICKLY, run
from support.nginx import ROOT
from support.stored import key_of, page


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """`make(NGINX=...)`: whether it passed and what it said; the module lies at `make.module`."""
    directory = tmp_path_factory.mktemp("make")
    module = directory / "module.so"
    env = {**QUICKLY, "CARGO_TARGET_DIR": str(directory / "target")}
    env.pop("NGINX_SOURCE_DIR", None)

    def make(**variables):
        words = [f"{name}={value}" for name, value in variables.items()]
        result = subprocess.run(
            ["make", "build", f"MODULE={module}", *words], cwd=ROOT, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return result.returncode == 0, result.stdout

    make.module = module
    return make


def test_a_program_and_its_source(make, dynamic, serve, redis):
    before = sorted(os.listdir(dynamic.source))
    passed, said = make(NGINX=dynamic.nginx, NGINX_SOURCE_DIR=dynamic.source)
    assert passed, said
    nginx = serve(nginx=[dynamic.nginx], module=make.module)
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"
    assert sorted(os.listdir(dynamic.source)) == before


def test_debians_own_nginx_names_its_source():
    directory = Path(run(ROOT / "scripts/nginx-source.sh", "/usr/sbin/nginx").splitlines()[-1])
    header = (directory / "objs/ngx_auto_config.h").read_text()
    said = run("/usr/sbin/nginx", "-V")
    assert "--modules-path=/usr/lib/nginx/modules" in header and "--with-compat" in header
    assert "--modules-path=/usr/lib/nginx/modules" in said
    version = said.split("nginx/")[1].split()[0]
    assert f'"{version}"' in (directory / "src/core/nginx.h").read_text()


def test_a_program_without_its_source(make, dynamic):
    passed, said = make(NGINX=dynamic.nginx)
    assert not passed
    assert "it is nginx 1.28.3. Unpack the source of that very version" in said


def test_the_source_of_another_version(make, dynamic, tmp_path):
    header = tmp_path / "other/src/core/nginx.h"
    header.parent.mkdir(parents=True)
    header.write_text('#define NGINX_VERSION      "1.27.0"\n')
    passed, said = make(NGINX=dynamic.nginx, NGINX_SOURCE_DIR=tmp_path / "other")
    assert not passed
    assert "it is nginx 1.28.3, and" in said and "is the source of 1.27.0" in said


@pytest.mark.parametrize(
    ("nginx", "wanted"),
    [
        ("/no/such/nginx", "neither a program nor a source directory"),
        ("/bin/true", "names no version; is it nginx?"),
        ("/bin/false", "`/bin/false -V` fails"),
        ("/usr/share", "/usr/share holds no source of nginx"),
    ],
)
def test_what_is_no_nginx(make, nginx, wanted):
    passed, said = make(NGINX=nginx)
    assert not passed
    assert wanted in said

"""nginx built from source, with the module beside it and with the module linked in, by nginx's own
./configure and this project's ./config. The source is that of the crate nginx-src."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.nginx import ROOT

FLAGS = ["--with-compat", "--with-threads", "--with-http_ssl_module", "--with-http_v2_module"]

# The optimizer takes most of the time and is not what is looked at here.
QUICKLY = {
    **os.environ,
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
}


def run(*command, cwd=ROOT, env=QUICKLY):
    """What a program says; a failure shows its last lines."""
    result = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-25:])
        pytest.fail(f"{' '.join(map(str, command))}\n{tail}", pytrace=False)
    return result.stdout


@dataclass
class Built:
    """`nginx` as it was linked, `module` the file beside it, if it is one."""

    source: Path
    nginx: Path
    module: Path | None


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """An unpacked source of nginx."""
    manifest = ROOT / "tests/configure/Cargo.toml"
    listed = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path", manifest],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    packages = {p["name"]: p for p in json.loads(listed.stdout)["packages"]}
    crate = Path(packages["nginx-src"]["manifest_path"]).parent
    directory = tmp_path_factory.mktemp("source") / "nginx"
    shutil.copytree(crate / "nginx", directory)
    shutil.copy(directory / "auto/configure", directory / "configure")
    return directory


def build(source: Path, *flags: str) -> Path:
    run("./configure", *FLAGS, *flags, cwd=source)
    run("make", "-j2", cwd=source)
    return source / "objs"


@pytest.fixture(scope="session")
def dynamic(source) -> Built:
    objs = build(source, f"--add-dynamic-module={ROOT}")
    kept = source.parent / "dynamic"
    kept.mkdir()
    for name in ("nginx", "ngx_http_redis_cache_module.so"):
        shutil.copy(objs / name, kept)
    return Built(source, kept / "nginx", kept / "ngx_http_redis_cache_module.so")


@pytest.fixture(scope="session")
def static(source, dynamic) -> Built:
    """After `dynamic`, in the same tree: cargo builds little anew. A filter of somebody else is
    linked in behind the module."""
    objs = build(source, f"--add-module={ROOT}", f"--add-module={ROOT}/tests/configure/greeter")
    return Built(source, objs / "nginx", None)


@pytest.fixture(scope="session", params=["dynamic", "static"])
def built(request) -> Built:
    return request.getfixturevalue(request.param)

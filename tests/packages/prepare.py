#!/usr/bin/env python3
"""What the tests of the packages need from the network: for each suite a root, the package, built
in a root of its own, and nginx in the root's package cache.

Usage: prepare.py SUITE ...     builds in throw-away roots
       prepare.py --own         takes what `make deb` built for this machine's suite
       prepare.py --possible    does nothing but say, with code 3, why it would be impossible here
"""

import json
import shutil
import sys
import time

from roots import (
    DEBS, HATCHLING, PACKAGE, PROFILE, ROOT, ROOTS, Failed, Root, Unavailable, at_least, built,
    built_for_django, may_chroot, own_suite,
)  # fmt: skip
from support.debian import run

BUILD = """
export DEB_BUILD_PROFILES="$0"
cd /build && dpkg-source --extract ./*.dsc work >/dev/null && cd work &&
apt-get -q -y build-dep ./ && dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary
"""

# What the Django package and the stand-in for python3-http-sfv depend on.
NEEDED_BY_DJANGO = ["python3-django", "python3-redis", "python3-typing-extensions"]


def build(suite: str) -> dict:
    """The package, built offline but for its build dependencies, and how long that took."""
    out = DEBS / suite
    shutil.rmtree(out, ignore_errors=True)
    root = Root.make(suite, "build")
    try:
        root.apt("update")
        root.apt("install", "dpkg-dev")
        inside = root.path / "build"
        shutil.copytree(ROOTS / "source", inside)
        began = time.monotonic()
        log = root.run("sh", "-exc", BUILD, profiles(root))
        took = time.monotonic() - began
        out.mkdir(parents=True)
        for path in inside.iterdir():
            if path.is_file():
                shutil.copy(path, out)
        (out / "build.log").write_text(log)
        rust = root.run("rustc", "--version").split()[1]
        return {"rustc": rust, "build": f"{took:.0f} s"}
    finally:
        root.remove()


def profiles(root: Root) -> str:
    """The Django package is built where hatchling is new enough for it."""
    return PROFILE if at_least(root.versions("python3-hatchling")[0], HATCHLING) else ""


def fetch(suite: str):
    """A fresh root with everything in its cache that the tests install without a network."""
    package = built(suite)
    root = Root.make(suite, "test")
    root.allow_services(False)
    root.apt("update")
    root.apt("upgrade")
    shutil.copy(package, root.path)
    root.apt("install", "--download-only", f"/{package.name}")
    if django := built_for_django(suite):
        shutil.copy(django, root.path)
        root.apt("install", "--download-only", *NEEDED_BY_DJANGO)
    for version in root.versions("nginx")[1:]:
        root.apt("install", "--download-only", f"nginx={version}", f"nginx-common={version}")


def main() -> int:
    if reason := may_chroot():
        print(f"throw-away roots are impossible here: {reason}", file=sys.stderr)
        return 3
    arguments = sys.argv[1:]
    if arguments == ["--possible"]:
        return 0
    own = arguments == ["--own"]
    suites = [own_suite()] if own else arguments
    ROOTS.mkdir(parents=True, exist_ok=True)
    if not own:
        shutil.rmtree(ROOTS / "source", ignore_errors=True)
        run([ROOT / "scripts/source-package.sh", ROOTS / "source"])
    told = {}
    for suite in suites:
        print(f"{suite}: {'root' if own else f'building {PACKAGE}'}", flush=True)
        told[suite] = {} if own else build(suite)
        fetch(suite)
    (ROOTS / "suites.json").write_text(json.dumps(told))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, Unavailable) as failure:
        sys.exit(str(failure))

"""A Debian suite in a directory: made by debootstrap, entered by chroot.

Mounts stand in a mount namespace of their own, so they are gone with the command that needed them.
Everything lies below build/roots/. Packages come from the archive that the machine's own apt uses,
and apt checks their signatures as always.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.debian import KEYRING, Failed, Unavailable, archive, run  # noqa: E402
from support.nginx import ROOT  # noqa: E402

ROOTS = ROOT / "build/roots"
DEBS = ROOT / "build/deb"
PACKAGE = "libnginx-mod-http-redis-cache"
# Built with PROFILE, in suites whose hatchling reads its pyproject.toml.
DJANGO_PACKAGE = "python3-nginx-redis-cache"
PROFILE = "pkg.nginx-redis-cache.python"
HATCHLING = "1.26"
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
APT = """
Acquire::Languages "none";
Acquire::Retries "2";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
Acquire::Check-Valid-Until "false";
"""
MOUNTED = """
mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"
"""


@dataclass
class Root:
    """`path` is the directory; `suite` the name of the Debian suite in it."""

    suite: str
    path: Path

    @classmethod
    def make(cls, suite: str, name: str) -> "Root":
        """A new root, from the base system of the suite, which is kept until `make clean`."""
        root = cls(suite, ROOTS / f"{suite}-{name}")
        root.remove()
        base = ROOTS / f"{suite}.tar"
        if not base.exists():
            root._bootstrap(base)
            return root
        root.path.mkdir(parents=True)
        run(["tar", "-C", root.path, "--numeric-owner", "-xf", base])
        return root

    def _bootstrap(self, base: Path):
        scripts = Path("/usr/share/debootstrap/scripts")
        # Later suites than this machine's debootstrap knows are made like sid.
        script = [] if (scripts / self.suite).exists() else [scripts / "sid"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        run(["debootstrap", "--variant=minbase", "--include=ca-certificates",
             f"--keyring={KEYRING}", self.suite, self.path, archive(), *script])  # fmt: skip
        (self.path / "etc/apt/apt.conf.d/50test").write_text(APT + proxies())
        (self.path / "etc/apt/sources.list").write_text("".join(f"{s}\n" for s in self._sources()))
        unpacked = base.with_suffix(".new")
        run(["tar", "-C", self.path, "--numeric-owner", "-cf", unpacked, "."])
        unpacked.rename(base)

    def _sources(self) -> list[str]:
        sources = [f"deb {archive()} {self.suite} main"]
        security = archive("/debian-security", missing_ok=True)
        if security and self.suite not in ("forky", "sid"):
            sources.append(f"deb {security} {self.suite}-security main")
        return sources

    def remove(self):
        if self.path.exists():
            if mounted := [line for line in mounts() if line.startswith(f"{self.path}/")]:
                raise Failed(f"still mounted: {mounted}")
            shutil.rmtree(self.path)

    def run(self, *command: str, namespaces: bool = True, **options) -> str:
        """Runs a command in the root; what it prints, or its words as an exception.

        Inside the tests' own namespaces it needs none of its own, and shares their processes.
        """
        enter = ["chroot", str(self.path)]
        if namespaces:
            apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
            enter = [*apart, "sh", "-ec", MOUNTED, str(self.path)]
        return run([*enter, *command], env=ENVIRONMENT, **options)

    def apt(self, *arguments: str, **options) -> str:
        return self.run("apt-get", "-q", "-y", *arguments, **options)

    def allow_services(self, allowed: bool):
        """Whether packages may start, reload and stop their daemons in the root."""
        policy = self.path / "usr/sbin/policy-rc.d"
        policy.write_text(f"#!/bin/sh\nexit {0 if allowed else 101}\n")
        policy.chmod(0o755)

    def versions(self, package: str) -> list[str]:
        """The versions that the suite has, the newest first."""
        listed = self.run("apt-cache", "madison", package, namespaces=False)
        return list(dict.fromkeys(line.split("|")[1].strip() for line in listed.splitlines()))

    def version(self, package: str) -> str:
        """What is installed; empty if nothing is."""
        states = self.run(
            "dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev} ${Version}\n",
            namespaces=False,
        )  # fmt: skip
        found = re.search(rf"^{re.escape(package)} ii +(\S+)$", states, re.M)
        return found[1] if found else ""


def proxies() -> str:
    """How this machine's apt reaches its archives, if by a proxy."""
    lines = run(["apt-config", "dump"]).splitlines(keepends=True)
    return "".join(line for line in lines if re.match(r"Acquire::https?::Proxy\b", line))


def mounts() -> list[str]:
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def built(suite: str) -> Path:
    """The package of a suite."""
    found = sorted((DEBS / suite).glob(f"{PACKAGE}_*.deb"))
    if len(found) != 1:
        raise Failed(f"{DEBS / suite} holds {len(found)} packages and not one: run `make deb`")
    return found[0]


def built_for_django(suite: str) -> Path | None:
    """The Django package of a suite, if it was built there."""
    return next((DEBS / suite).glob(f"{DJANGO_PACKAGE}_*.deb"), None)


def at_least(version: str, wanted: str) -> bool:
    return not subprocess.run(["dpkg", "--compare-versions", version, "ge", wanted]).returncode


def own_suite() -> str:
    """The suite of this machine."""
    text = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)$", text, re.M)
    if not found or not re.search(r"^ID=debian$", text, re.M):
        raise Unavailable("this machine is no Debian")
    return found[1]


def repack(deb: Path, to: Path, **fields: str) -> Path:
    """The same package with other control fields."""
    work = to.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    run(["dpkg-deb", "-R", deb, work])
    control = work / "DEBIAN/control"
    text = control.read_text()
    for name, value in fields.items():
        text, count = re.subn(rf"^{name}: .*$", f"{name}: {value}", text, flags=re.M)
        if count != 1:
            raise Failed(f"{deb.name} has no field {name}")
    control.write_text(text)
    run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", work, to])
    shutil.rmtree(work)
    return to


def may_chroot() -> str | None:
    """Why this machine cannot hold throw-away roots, if it cannot."""
    if os.getuid() != 0:
        return "throw-away roots need root"
    if not shutil.which("debootstrap"):
        return "debootstrap is not installed"
    try:
        run(["unshare", "--mount", "--pid", "--net", "--fork", "mount", "-t", "proc", "p", "/proc"])
    except (Failed, OSError) as failure:
        return f"namespaces are not allowed here: {failure}"
    return None

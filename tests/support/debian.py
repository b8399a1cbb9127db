"""Packages of any Debian suite, unpacked beside their own loader and libraries.

Everything lies below build/matrix/: nothing is installed, and the machine's own apt knows nothing
of it. Packages are downloaded from the archive that the machine's own apt uses, and apt checks
their signatures as always.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from .nginx import ROOT

MATRIX = ROOT / "build/matrix"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Suites that are no whole system, and what they stand on.
BASES = {"experimental": "sid"}
# Their lists are valid for days, and a mirror may be later; signatures are checked.
MOVING = ("sid", "experimental")

# apt looks for new lists when those it has are older.
A_DAY = 86400


class Unavailable(Exception):
    """The suite cannot be fetched here."""


class Failed(Exception):
    """A program failed, and said this."""


class Packages:
    """`packages` of a suite and the libraries that they need: `versions` has the version of each,
    and `root` what is in them. The first one names the directory."""

    def __init__(self, suite: str, *packages: str):
        self.suite = suite
        self.apt = MATRIX / suite / "apt"
        self._update()
        self.versions = self._known(packages)
        # Without the epoch: a colon parts the directories of a list.
        version = self.versions[packages[0]].rpartition(":")[2]
        self.directory = MATRIX / suite / f"{packages[0]}-{version}"
        self.root = self.directory / "root"

    def _update(self):
        lists = self.apt / "lists"
        for directory in [lists / "partial", self.apt / "cache/archives/partial"]:
            directory.mkdir(parents=True, exist_ok=True)
        (self.apt / "status").touch()
        suites = [name for name in (BASES.get(self.suite), self.suite) if name]
        sources = [f"deb [signed-by={KEYRING}] {archive()} {name} main\n" for name in suites]
        (self.apt / "sources.list").write_text("".join(sources))
        late = 'Acquire::Check-Valid-Until "false";' if self.suite in MOVING else ""
        (self.apt / "apt.conf").write_text(f"""
            #clear APT::Update::Post-Invoke;
            #clear APT::Update::Post-Invoke-Success;
            #clear Acquire::IndexTargets::deb::DEP-11;
            Acquire::Retries "2";
            Dir::State "{self.apt}";
            Dir::State::lists "{lists}";
            Dir::State::status "{self.apt}/status";
            Dir::Cache "{self.apt}/cache";
            Dir::Cache::pkgcache "pkgcache.bin";
            Dir::Etc::sourcelist "{self.apt}/sources.list";
            Dir::Etc::sourceparts "/dev/null";
            APT::Default-Release "{self.suite}";
            Acquire::Languages "none";
            Acquire::AllowInsecureRepositories "false";
            APT::Get::AllowUnauthenticated "false";
            APT::Update::Error-Mode "any";
            {late}
        """)
        updated = self.apt / "updated"
        if not updated.exists() or time.time() - updated.stat().st_mtime > A_DAY:
            self._apt("apt-get", "update")
            updated.touch()

    def _apt(self, command: str, *arguments: str, **options) -> str:
        try:
            return run([command, "-q", "-c", self.apt / "apt.conf", *arguments], **options)
        except (Failed, OSError) as failure:
            raise Unavailable(f"{self.suite}: {failure}") from None

    def _known(self, packages: tuple[str, ...]) -> dict[str, str]:
        """Read once from the lists: apt-cache takes a second each time."""
        known = self.apt / f"{'+'.join(packages)}.json"
        if not known.exists() or known.stat().st_mtime < (self.apt / "updated").stat().st_mtime:
            known.write_text(json.dumps(self._versions(self._with_libraries(packages))))
        return json.loads(known.read_text())

    def _with_libraries(self, packages: tuple[str, ...]) -> list[str]:
        """The packages, their libraries, and theirs."""
        known, new = list(packages), list(packages)
        while new:
            depends = self._apt("apt-cache", "depends", "--important", *new)
            found = re.findall(
                r"^ +(?:Pre)?Depends: ((?:lib|lua-|zlib1g)[\w.+-]*)$", depends, re.M
            )
            new = [name for name in dict.fromkeys(found) if name not in known]
            known += new
        return known

    def _versions(self, names: list[str]) -> dict[str, str]:
        shown = self._apt("apt-cache", "show", "--no-all-versions", *names)
        return dict(re.findall(r"^Package: (.+)$(?:\n.+)*?\nVersion: (.+)$", shown, re.M))

    def unpack(self):
        """Anew when the version of any package is another."""
        wanted = "".join(f"{name}={version}\n" for name, version in self.versions.items())
        stamp = self.directory / "unpacked"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        downloads = self.directory / "packages"
        downloads.mkdir(parents=True)
        self.root.mkdir()
        self._apt("apt-get", "download", *wanted.split(), cwd=downloads)
        for package in downloads.iterdir():
            run(["dpkg", "-x", package, self.root])
        shutil.rmtree(downloads)
        stamp.write_text(wanted)

    def command(self, program: str) -> list[str]:
        """A program of the root runs with the suite's own libc, so it is started by its loader."""
        # Older packages have files below /lib, which is a link to /usr/lib once installed.
        roots = [self.root, self.root / "usr"]
        libraries = [path for root in roots for path in root.glob("lib/*-linux-gnu")]
        loader = next(path for library in libraries for path in library.glob("ld-linux-*.so.*"))
        path = ":".join(map(str, libraries))
        return [str(loader), "--library-path", path, str(self.root / program)]


def run(command, env=os.environ, **options) -> str:
    """What a program prints; its words, as an exception, when it fails."""
    result = subprocess.run(
        command, capture_output=True, text=True, env={**env, "LC_ALL": "C.UTF-8"}, **options
    )
    if result.returncode:
        said = (result.stdout + result.stderr).strip().splitlines()[-20:]
        raise Failed("\n".join([" ".join(map(str, command)), *said]))
    return result.stdout


def archive(name: str = "/debian", missing_ok: bool = False) -> str | None:
    """Where the machine's own apt gets Debian, or another of its archives, from."""
    try:
        targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).splitlines()
    except (Failed, OSError) as failure:
        raise Unavailable(f"no apt: {failure}") from None
    for address in targets:
        if address.rstrip("/").endswith(name):
            return address
    if missing_ok:
        return None
    raise Unavailable(f"apt has no archive that ends in {name} among its sources")

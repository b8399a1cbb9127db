"""The nginx of a Debian suite beside its own loader and libraries, and the module built for it.

Everything lies below build/matrix/: nothing is installed, and the machine's own apt knows nothing
of it. Packages are downloaded from the archive that the machine's own apt uses, and apt checks
their signatures as always.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from support.nginx import ROOT

MATRIX = ROOT / "build/matrix"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# How the version of each suite's nginx begins; sid has whatever is newest.
VERSIONS = {"bookworm": "1.22.", "trixie": "1.26.", "sid": "1."}

# apt looks for new lists when those it has are older.
A_DAY = 86400


class Unavailable(Exception):
    """The suite cannot be fetched here."""


class Failed(Exception):
    """A program failed, and said this."""


class Suite:
    """`nginx` is the command that starts it, `module` the module built for it."""

    def __init__(self, name: str):
        self.name = name
        self.apt = MATRIX / name / "apt"
        self._update()
        self.packages = self._packages()
        package = self.packages["nginx"]
        self.version = re.match(r"(\d+:)?([\d.]+)", package)[2]
        if not self.version.startswith(VERSIONS[name]):
            raise Unavailable(f"{name} has nginx {package} and not {VERSIONS[name]}")
        self.directory = MATRIX / name / package
        self.root = self.directory / "root"
        self._unpack()
        self.nginx = self._command()
        self.module = self._build()

    def _update(self):
        lists = self.apt / "lists"
        for directory in [lists / "partial", self.apt / "cache/archives/partial"]:
            directory.mkdir(parents=True, exist_ok=True)
        (self.apt / "status").touch()
        source = f"deb [signed-by={KEYRING}] {archive()} {self.name} main\n"
        (self.apt / "sources.list").write_text(source)
        # sid's lists are valid for days, and a mirror may be later; signatures are checked.
        late = 'Acquire::Check-Valid-Until "false";' if self.name == "sid" else ""
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
            raise Unavailable(f"{self.name}: {failure}") from None

    def _packages(self) -> dict[str, str]:
        """nginx, its headers and the libraries that it needs, with their versions."""
        depends = self._apt("apt-cache", "depends", "--important", "nginx")
        libraries = re.findall(r"^ +Depends: ((?:lib|zlib1g)[\w.+-]*)$", depends, re.M)
        names = ["nginx", "nginx-dev", "libgcc-s1", "libzstd1", *libraries]
        shown = self._apt("apt-cache", "show", "--no-all-versions", *names)
        return dict(re.findall(r"^Package: (.+)$(?:\n.+)*?\nVersion: (.+)$", shown, re.M))

    def _unpack(self):
        """Anew when the version of any package is another."""
        wanted = "".join(f"{name}={version}\n" for name, version in self.packages.items())
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

    def _command(self) -> list[str]:
        """Each suite's nginx runs with its own libc, so it is started by its own loader."""
        # bookworm's packages have files below /lib, which is a link to /usr/lib once installed.
        roots = [self.root, self.root / "usr"]
        loader = next(path for root in roots for path in root.glob("lib*/ld-linux-*.so.*"))
        libraries = ":".join(str(path) for root in roots for path in root.glob("lib/*-linux-gnu"))
        return [str(loader), "--library-path", libraries, str(self.root / "usr/sbin/nginx")]

    def _build(self) -> Path:
        source, objs = self.root / "usr/share/nginx/src", self.directory / "objs"
        if not (objs / "ngx_auto_config.h").exists():
            configure = '. ./conf_flags && ./configure "${NGX_CONF_FLAGS[@]}" --builddir="$0"'
            run(["bash", "-c", configure, objs], cwd=source)
        target = self.directory / "target"
        environment = {
            "NGINX_SOURCE_DIR": str(source),
            "NGINX_BUILD_DIR": str(objs),
            "CARGO_TARGET_DIR": str(target),
            "CARGO_PROFILE_RELEASE_LTO": "off",
            "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
        }
        command = ["cargo", "build", "--quiet", "--release", "--locked"]
        run(command, cwd=ROOT, env={**os.environ, **environment})
        # The name tells in nginx's messages which one it is.
        module = self.directory / f"redis_cache-{self.version}.so"
        shutil.copyfile(target / "release/libngx_http_redis_cache_module.so", module)
        return module


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

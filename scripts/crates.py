"""The crates of Cargo.lock: licences, texts, checksums, and which of them are linked in."""

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"
FEATURES = ["--no-default-features", "--features", "nginx,export-modules"]


@dataclass
class Crate:
    name: str
    version: str
    licence: str
    authors: list[str]
    repository: str | None
    directory: Path
    checksum: str | None
    dependencies: list[str]

    @property
    def id(self) -> str:
        return f"{self.name}-{self.version}"

    def licence_files(self) -> list[Path]:
        """The files that hold licences and notices, as the crate ships them."""
        name = re.compile(r"^(licen[cs]e|copying|unlicense|notice|copyright|authors)", re.I)
        files = (path for path in self.directory.iterdir() if path.is_file())
        return sorted(path for path in files if name.match(path.name) and path.suffix != ".rs")

    def holders(self) -> list[str]:
        """Who holds the copyright: what the licence files say, or else the authors it names."""
        found = {}
        for path in self.licence_files():
            for line in path.read_text(errors="replace").splitlines():
                said = re.match(r"\W*copyright\s+(?:\(c\)|©)?\s*(.*\d{4}.*)$", line, re.I)
                if said:
                    found[re.sub(r"\s+", " ", said[1]).strip(" /*")] = None
        return list(found) or self.authors or [f"The authors of {self.name}"]


def cargo(*arguments: str) -> str:
    command = ["cargo", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def crates() -> dict[str, Crate]:
    """Every crate by NAME-VERSION, our own first."""
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--locked"))
    with (ROOT / "Cargo.lock").open("rb") as file:
        locked = {f"{p['name']}-{p['version']}": p for p in tomllib.load(file)["package"]}
    ids = {p["id"]: f"{p['name']}-{p['version']}" for p in metadata["packages"]}
    edges = {ids[n["id"]]: sorted(ids[d] for d in n["dependencies"])
             for n in metadata["resolve"]["nodes"]}  # fmt: skip
    found = {}
    ours_first = sorted(metadata["packages"], key=lambda p: (p["source"] is not None, p["id"]))
    for package in ours_first:
        name = ids[package["id"]]
        found[name] = Crate(
            package["name"], package["version"], package["license"],
            package["authors"], package["repository"], Path(package["manifest_path"]).parent,
            locked[name].get("checksum"), edges[name],
        )  # fmt: skip
    return found


def linked() -> list[str]:
    """Those whose code is in the module, our own included: no build scripts, macros, tests."""
    lines = cargo(
        "tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none",
        "--target", TARGET, *FEATURES, "--format", "{p}",
    )  # fmt: skip
    names = {re.sub(r"^(\S+) v(\S+).*$", r"\1-\2", line) for line in lines.splitlines() if line}
    return sorted(names)

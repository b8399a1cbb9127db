#!/usr/bin/env python3
"""Checks every crate that is linked in against deny.toml: licences and where it comes from.

deny.toml is cargo-deny's own file, so `cargo deny check licenses bans sources` reads the same
rules where it is installed; this needs nothing but cargo and works offline.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def allowed_licences() -> set[str]:
    text = (ROOT / "deny.toml").read_text()
    listed = re.search(r"^allow = \[(.*?)\]", text, re.S | re.M)
    return set(re.findall(r'"([^"]+)"', listed.group(1)))


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """SPDX expressions as crates write them: AND binds closer than OR; `/` is an old OR."""
    expression = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ")
    tokens = expression.split()

    def alternatives() -> bool:
        result = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            result = conjunction() or result
        return result

    def conjunction() -> bool:
        result = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = term() and result
        return result

    def term() -> bool:
        token = tokens.pop(0)
        if token == "(":
            result = alternatives()
            tokens.pop(0)
            return result
        name = token
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            name = f"{token} WITH {tokens.pop(0)}"
        return name in allowed

    return alternatives()


def main() -> int:
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    allowed = allowed_licences()
    faults = []
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        if package["source"] not in (None, CRATES_IO):
            faults.append(f"{name} comes from {package['source']}")
        if not package["license"] or not is_allowed(package["license"], allowed):
            faults.append(f"{name} has the licence {package['license']}, which deny.toml does not allow")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(metadata['packages'])} crates checked")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Imports run one way: each room takes from those named beside it alone, and only the seam of http and
worker is a circle."""

import re
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"

# The pure half; a room without a folder is a file. Everything may name a reason.
PURE = {
    "reason": "",
    "fault": "reason",
    "warnings": "reason",
    "parking": "",
    "uses": "",
    "variants": "",
    "refresh": "",
    "flight": "parking policy",
    "key": "reason",
    "http": "key reason",
    "coder": "http",
    "entry": "http reason",
    "redis": "fault parking reason",
    "policy": "coder entry http reason redis",
    "config": "coder http key policy reason redis",
    "engine": "config fault parking reason redis warnings",
}

# The rooms of the nginx half, which take from all of the pure half; "" is its module record.
NGINX = {
    "sys": "",
    "io": "sys",
    "conf": "io sys",
    "worker": "conf http io sys",
    "http": "conf sys worker",
    "setup": "conf http io sys",
}

TESTS = re.compile(r"#\[cfg\(test\)\]\s*mod \w+ \{.*", re.S)


def rooms(folder: Path) -> dict[str, list[Path]]:
    """The files of every room in a folder."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*.rs")):
        room = file.relative_to(folder).parts[0].removesuffix(".rs")
        if file.stem not in ("tests", "fake"):
            found.setdefault(room, []).append(file)
    return found


def imports(file: Path, root: str) -> set[str]:
    """The rooms below `root` that a file takes from, its tests aside."""
    text = TESTS.sub("", file.read_text())
    return {name for name in re.findall(rf"\b{root}::(\w+)", text)}


def check(folder: Path, root: str, allowed: dict[str, str]) -> list[str]:
    wrong = []
    for room, files in rooms(folder).items():
        if room not in allowed:
            if room not in ("mod", "lib", "nginx"):
                wrong.append(f"{folder.name}/{room} has no place in this list")
            continue
        wanted = {room, *allowed[room].split()}
        for file in files:
            for name in sorted(imports(file, root) & allowed.keys() - wanted):
                where = file.relative_to(SRC.parent)
                wrong.append(f"{where} takes from {name}, which {room} may not")
    return wrong


def main() -> int:
    wrong = check(SRC, "crate", PURE) + check(SRC / "nginx", "crate::nginx", NGINX)
    for room in PURE:
        for file in rooms(SRC).get(room, []):
            if "nginx" in imports(file, "crate"):
                wrong.append(f"{file.relative_to(SRC.parent)} takes from the nginx half")
    print("\n".join(wrong), file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

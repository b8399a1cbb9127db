#!/usr/bin/env python3
"""Prints debian/copyright: the project, and every crate that the source package carries."""

import sys

from crates import ROOT, Crate, crates, linked

# What Debian has in /usr/share/common-licenses; the other texts lie in debian/licences/.
COMMON = {
    "Apache-2.0": "Apache-2.0",
    "CC0-1.0": "CC0-1.0",
    "LGPL-2.1-or-later": "LGPL-2.1",
}
WITH_LLVM = "Apache-2.0 WITH LLVM-exception"


def expression(spdx: str) -> str:
    """SPDX to the words of the machine-readable form."""
    spdx = spdx.replace(WITH_LLVM, "Apache-2.0-with-LLVM-exception").replace("/", " OR ")
    # The form has no brackets: of (A OR B) AND C a comma makes `and` the weaker one.
    spdx = spdx.replace("(", "").replace(") AND", ", AND").replace(")", "")
    return " ".join(spdx.replace(" AND ", " and ").replace(" OR ", " or ").split())


def names(expression: str) -> set[str]:
    words = expression.replace(",", " ").split()
    return {word for word in words if word not in ("and", "or")}


def indented(text: str) -> str:
    return "\n".join(f" {line.rstrip()}" if line.strip() else " ." for line in text.splitlines())


def text_of(name: str) -> str:
    if name in COMMON:
        return f"The text is in /usr/share/common-licenses/{COMMON[name]} on Debian systems."
    if name == "Apache-2.0-with-LLVM-exception":
        exception = (ROOT / "debian/licences/LLVM-exception").read_text()
        return f"{text_of('Apache-2.0')}\n\n{exception}"
    path = ROOT / "debian/licences" / name
    if not path.exists():
        sys.exit(f"a crate has the licence {name}: put its text into debian/licences/{name}")
    return path.read_text().strip("\n")


def stanza(files: str, holders: list[str], licence: str, comment: str = "") -> str:
    lines = [f"Files: {files}", "Copyright: " + "\n           ".join(holders)]
    lines.append(f"License: {licence}")
    if comment:
        lines.append(f"Comment: {comment}")
    return "\n".join(lines)


def crate_stanza(crate: Crate, is_linked: bool) -> str:
    comment = "Linked into the module." if is_linked else ""
    return stanza(f"vendor/{crate.id}/*", crate.holders(), expression(crate.licence), comment)


def main() -> None:
    ours, *found = crates().values()
    inside = set(linked())
    parts = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: {ours.name}\nSource: {ours.repository}",
        stanza("*", ours.holders(), ours.licence),
        *(crate_stanza(crate, crate.id in inside) for crate in found),
    ]
    used = {ours.licence}.union(*(names(expression(c.licence)) for c in found))
    parts += [f"License: {name}\n{indented(text_of(name))}" for name in sorted(used)]
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()

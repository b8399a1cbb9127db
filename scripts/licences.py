#!/usr/bin/env python3
"""Prints the licences and notices of every crate that is linked into the module: a list first, then
each text once, with the crates that ship it."""

from crates import crates, linked

RULE = "=" * 78


def main() -> None:
    ours, *others = crates().values()
    names = set(linked())
    inside = [crate for crate in others if crate.id in names]
    texts: dict[str, list[str]] = {}
    print(f"These crates are linked into {ours.name} {ours.version}.\n")
    for crate in inside:
        print(f"{crate.name} {crate.version}: {crate.licence}")
        files = crate.licence_files()
        if not files:
            print(f"    ships no text; copyright {', '.join(crate.holders())}")
        for path in files:
            text = path.read_text(errors="replace").strip("\n")
            texts.setdefault(text, []).append(f"{crate.id}/{path.name}")
    for text, places in sorted(texts.items(), key=lambda item: item[1]):
        print(f"\n{RULE}")
        for place in places:
            print(place)
        print(f"{RULE}\n\n{text}")


if __name__ == "__main__":
    main()

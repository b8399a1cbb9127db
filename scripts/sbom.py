#!/usr/bin/env python3
"""Prints an SBOM of the module, CycloneDX 1.5: the crates that are linked in, with licences,
checksums and what needs what. The same Cargo.lock gives the same bytes."""

import json

from crates import Crate, crates, linked


def component(crate: Crate) -> dict:
    entry = {
        "type": "library",
        "bom-ref": purl(crate),
        "name": crate.name,
        "version": crate.version,
        "licenses": [{"expression": crate.licence.replace("/", " OR ")}],
        "purl": purl(crate),
    }
    if crate.checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": crate.checksum}]
    if crate.repository:
        entry["externalReferences"] = [{"type": "vcs", "url": crate.repository}]
    return entry


def purl(crate: Crate) -> str:
    return f"pkg:cargo/{crate.name}@{crate.version.replace('+', '%2B')}"


def main() -> None:
    names = set(linked())
    inside = {name: crate for name, crate in crates().items() if name in names}
    ours, *others = inside.values()
    graph = [
        {
            "ref": purl(crate),
            "dependsOn": sorted(purl(inside[n]) for n in crate.dependencies if n in inside),
        }
        for crate in inside.values()
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(ours)},
        "components": [component(crate) for crate in others],
        "dependencies": graph,
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()

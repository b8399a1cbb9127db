#!/usr/bin/env bash
# A module is linked as Debian's hardening flags ask: addresses read-only and bound at once, no
# executable stack, no text relocation, no search path. Usage: scripts/check-hardening.sh MODULE
set -euo pipefail
module=${1:?a module}
segments=$(readelf --wide --program-headers "$module")
dynamic=$(readelf --wide --dynamic "$module")

refuse() {
    echo "$module: $1" >&2
    exit 1
}
grep -q GNU_RELRO <<<"$segments" || refuse "not linked with -z relro"
grep -qE 'BIND_NOW|FLAGS_1.*NOW' <<<"$dynamic" || refuse "not linked with -z now"
grep -qE 'GNU_STACK .* RW +[0-9]' <<<"$segments" || refuse "its stack is executable"
if grep -q TEXTREL <<<"$dynamic"; then refuse "it has text relocations"; fi
if grep -qE 'RPATH|RUNPATH' <<<"$dynamic"; then refuse "it has a search path"; fi
if grep -qE 'LOAD .* RWE ' <<<"$segments"; then refuse "a segment is writable and executable"; fi

#!/usr/bin/env bash
# Whether a second release, made in another place and by a user with other habits, has the same
# bytes as the first. Usage: scripts/check-reproducible.sh DIRECTORY
set -euo pipefail
first=$(realpath "${1:?what make dist made}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(umask 077 && TZ=Pacific/Auckland TMPDIR="$work" scripts/dist.sh "$work/second" >/dev/null)
if ! diff --recursive "$first" "$work/second"; then
    echo "Two releases of one tree differ." >&2
    exit 1
fi
echo "The same bytes twice:"
cat "$first/SHA256SUMS"

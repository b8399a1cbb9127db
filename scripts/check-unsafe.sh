#!/usr/bin/env bash
# `unsafe` stands in src/nginx/ alone; clippy sees to the SAFETY comment of each block.
set -euo pipefail
cd "$(dirname "$0")/.."
if grep -rnE '\bunsafe\b' src --include='*.rs' | grep -v '^src/nginx/' | grep -vE ':[0-9]+:\s*//'; then
    echo "unsafe outside src/nginx/" >&2
    exit 1
fi

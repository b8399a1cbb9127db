#!/usr/bin/env bash
# Every static check that needs neither nginx nor Python packages; the first that fails ends the run.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    echo "check: $1"
    shift
    "$@"
}
step "rustfmt" cargo fmt --check
step "unsafe only in src/nginx" scripts/check-unsafe.sh
step "imports run one way" scripts/check-imports.py
step "nothing is too long" scripts/check-lengths.py
step "clippy, pure half" cargo clippy --quiet --no-default-features --all-targets -- -D warnings

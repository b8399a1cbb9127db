#!/usr/bin/env bash
# Every static check; the first that fails ends the run.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    echo "lint: $1"
    shift
    "$@"
}
step "rustfmt" cargo fmt --check
step "clippy, pure half" cargo clippy --quiet --no-default-features --all-targets -- -D warnings
step "clippy, nginx half" cargo clippy --quiet -- -D warnings
step "docs build" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items
step "dependencies" scripts/check-dependencies.py
step "unsafe only in src/nginx" scripts/check-unsafe.sh
step "samples" .venv/bin/python -m pytest -q tests/e2e/test_samples.py
echo "lint: all passed"

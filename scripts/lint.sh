#!/usr/bin/env bash
# Every static check, those of check.sh among them; the first that fails ends the run.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    echo "lint: $1"
    shift
    "$@"
}
scripts/check.sh
step "clippy, nginx half" cargo clippy --quiet -- -D warnings
step "fuzz targets" cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz
step "docs build" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items
step "dependencies" scripts/check-dependencies.py
step "samples" .venv/bin/python -m pytest -q tests/e2e/test_samples.py
echo "lint: all passed"

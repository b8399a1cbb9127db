#!/usr/bin/env bash
# Tests the Debian packages in throw-away roots: apt, nginx, Redis and an application, in
# namespaces of their own. Without arguments it takes the package that `make deb` built for this
# machine's suite; with names of suites it builds for each in a root.
# Usage: scripts/test-packages.sh [SUITE ...]
set -euo pipefail
cd "$(dirname "$0")/.."

python=$PWD/.venv/bin/python
"$python" tests/packages/prepare.py "${@:---own}"
export PACKAGES_APART=1
# The first process of the namespace is a shell, which takes leave of daemons that end.
exec unshare --mount --net --pid --fork --kill-child --mount-proc \
    sh -c 'ip link set lo up && "$@"; exit $?' sh "$python" -m pytest tests/packages -q

#!/usr/bin/env bash
# The files of the project, each with a zero byte behind it: what git has, as it stands in the work
# tree, or all of an unpacked archive. Usage: scripts/list-files.sh [PATH]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -e .git ]; then
    git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard -- "${1:-.}" |
        while IFS= read -r -d '' path; do
            if [ -e "$path" ]; then printf '%s\0' "$path"; fi
        done
else
    find "${1:-.}" -type f ! -path './build/*' ! -path './target/*' ! -path './.venv/*' \
        ! -path './vendor/*' -print0
fi

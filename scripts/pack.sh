#!/usr/bin/env bash
# Packs a directory: one order, time, owner and mode, whatever made the files.
# Usage: SOURCE_DATE_EPOCH=SECONDS scripts/pack.sh DIRECTORY ARCHIVE.tar.xz
set -euo pipefail
directory=${1:?a directory} archive=${2:?an archive}
tar --directory "$(dirname "$directory")" --sort=name --mtime="@${SOURCE_DATE_EPOCH:?}" \
    --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' --format=gnu \
    --create "$(basename "$directory")" | xz --threads=1 -3 >"$archive"

#!/usr/bin/env bash
# A module exports nginx's three tables and nothing else: nginx loads it RTLD_GLOBAL.
set -euo pipefail
module=${1:?a module}
exports=$(nm -D --defined-only "$module" | awk '{print $3}' | sort | tr '\n' ' ')
wanted="ngx_module_names ngx_module_order ngx_modules "
if [ "$exports" != "$wanted" ]; then
    echo "$module exports: $exports(wanted: $wanted)" >&2
    exit 1
fi

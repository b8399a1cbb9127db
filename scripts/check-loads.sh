#!/usr/bin/env bash
# Whether an nginx loads a module and knows its directives, by `nginx -t`.
# Usage: scripts/check-loads.sh PROGRAM [MODULE]     without a module it is linked in
set -euo pipefail

nginx=${1:?an nginx} module=${2:-}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory/logs"
{
    if [ -n "$module" ]; then echo "load_module $(realpath "$module");"; fi
    cat <<END
pid $directory/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path $directory/body;
    proxy_temp_path $directory/proxy;
    fastcgi_temp_path $directory/fastcgi;
    uwsgi_temp_path $directory/uwsgi;
    scgi_temp_path $directory/scgi;
    server { location / { redis_cache_pass redis://127.0.0.1:6379/1; } }
}
END
} >"$directory/nginx.conf"
if ! "$nginx" -t -p "$directory" -c "$directory/nginx.conf" 2>"$directory/said"; then
    cat "$directory/said" >&2
    exit 1
fi

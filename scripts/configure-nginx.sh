#!/usr/bin/env bash
# Configures nginx's headers for the build into $NGINX_BUILD_DIR, from Debian's nginx-dev. Where
# both directories are the user's own there is nothing to do.
set -euo pipefail

source_dir=${NGINX_SOURCE_DIR:?} build_dir=${NGINX_BUILD_DIR:?}

if [ "$source_dir" != /usr/share/nginx/src ]; then
    if [ ! -f "$build_dir/ngx_auto_config.h" ]; then
        echo "NGINX_BUILD_DIR=$build_dir holds no configured nginx (no ngx_auto_config.h):" \
            "run ./configure --with-compat in $source_dir and set NGINX_BUILD_DIR to its objs" >&2
        exit 1
    fi
    exit 0
fi
if [ ! -f "$source_dir/conf_flags" ]; then
    echo "$source_dir is not there: install nginx-dev, or set NGINX_SOURCE_DIR and" \
        "NGINX_BUILD_DIR to the source and the configured build of your nginx" >&2
    exit 1
fi
version=$(dpkg-query -W -f '${Version}' nginx-dev)
stamp=$build_dir/configured-for
if [ -f "$build_dir/ngx_auto_config.h" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$version" ]; then
    exit 0
fi
mkdir -p "$build_dir"
log=$build_dir/configure.log
echo "Configuring the headers of nginx-dev $version"
cd "$source_dir"
# conf_flags is a bash array; configure writes only below --builddir.
. ./conf_flags
if ! ./configure "${NGX_CONF_FLAGS[@]}" --builddir="$build_dir" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "nginx's configure failed; the whole log is in $log" >&2
    exit 1
fi
echo "$version" >"$stamp"

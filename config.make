# Sourced by nginx's ./configure when it writes its Makefile: how cargo makes the library.

case $NGX_OBJS in
    /*) ngx_redis_cache_objs=$NGX_OBJS ;;
    *)  ngx_redis_cache_objs=$PWD/$NGX_OBJS ;;
esac

# A source package carries the crates in vendor/ and is built without a network.
ngx_redis_cache_opt=--locked
if [ -d "$ngx_addon_dir/vendor" ]; then
    ngx_redis_cache_opt="--frozen \\
		--config 'source.crates-io.replace-with=\"vendored\"' \\
		--config 'source.vendored.directory=\"$ngx_addon_dir/vendor\"'"
fi

cat << END                                                    >> $NGX_MAKEFILE

.PHONY: $ngx_redis_cache_lib

# cargo knows what has to be built anew.
$ngx_redis_cache_lib:
	NGINX_SOURCE_DIR="$PWD" NGINX_BUILD_DIR="$ngx_redis_cache_objs" \\
	$NGX_CARGO rustc --lib --crate-type staticlib --release \\
		--no-default-features --features nginx \\
		--manifest-path "$ngx_addon_dir/Cargo.toml" \\
		--target-dir "$NGX_OBJS/redis_cache" \\
		$ngx_redis_cache_opt

END

if [ "$ngx_redis_cache_link" = DYNAMIC ]; then
    cat << END                                                >> $NGX_MAKEFILE
$NGX_OBJS/ngx_http_redis_cache_module.so: $ngx_redis_cache_lib

END
fi

"""A recipe of nginx-conf/ as it stands, on ports and paths of the test; and without the cache."""

import re
from pathlib import Path

from support.nginx import LOG_FORMAT, MODULE, ROOT, Nginx

HOST = "www.example.com"
LOAD = "load_module modules/ngx_http_redis_cache_module.so;"
REDIS = "redis://127.0.0.1:6379/1"


# What is there for the cache; also that of a request which only matters because answers are stored.
WRITTEN = r"redis_cache|map |geo |proxy_set_header +X-\S+ +\S+;|fastcgi_param +HTTP_X_"


def text(name: str) -> str:
    return (ROOT / "nginx-conf" / f"{name}.conf").read_text()


def split(recipe: str) -> tuple[list[str], str]:
    """What is written for the cache, line by line and without comments; and the configuration of
    the application alone, which is all the rest. The module is loaded there too, and has nothing to do."""
    written, rest = [], []
    block = False
    for line in recipe.splitlines():
        words = line.strip()
        block = block or bool(re.match(r"(map|geo) .*\{$", words))
        if block or re.match(WRITTEN, words):
            if words and not words.startswith("#"):
                written.append(words)
            block = block and words != "}"
        else:
            rest.append(line)
    return written, "\n".join(rest)


def start(recipe: str, directory: Path, replace: dict[str, str]) -> Nginx:
    """An nginx with this configuration; `replace` has what stands for what."""
    nginx = Nginx(directory)
    own = f"daemon off; pid {directory}/nginx.pid; error_log {directory}/logs/error.log info; user root;"
    paths = "".join(
        f"{name}_temp_path {directory}/{name}; "
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    log = (
        f"log_format test escape=json '{LOG_FORMAT}'; access_log {directory}/logs/access.log test;"
    )
    log += " redis_cache_status_header on;"
    replace = {
        "listen 80;": f"listen 127.0.0.1:{nginx.port};",
        "events {}": f"{own}\nevents {{}}",
        "http {": f"http {{ {log} {paths}",
        LOAD: f"load_module {MODULE};",
        **replace,
    }
    for old, new in replace.items():
        # That of the cache alone is not in the configuration without it.
        assert old in recipe or old == REDIS, old
        recipe = recipe.replace(old, new)
    nginx.write_config(recipe)
    return nginx.start()

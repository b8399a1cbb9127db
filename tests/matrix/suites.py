"""The nginx of a Debian suite, and the module built for it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from support.debian import Packages, Unavailable, run
from support.nginx import ROOT

# How the version of each suite's nginx begins; sid has whatever is newest.
VERSIONS = {"bookworm": "1.22.", "trixie": "1.26.", "sid": "1."}


class Suite:
    """`nginx` is the command that starts it, `module` the module built for it."""

    def __init__(self, name: str):
        self.name = name
        packages = Packages(name, "nginx", "nginx-dev")
        package = packages.versions["nginx"]
        self.version = re.match(r"(\d+:)?([\d.]+)", package)[2]
        if not self.version.startswith(VERSIONS[name]):
            raise Unavailable(f"{name} has nginx {package} and not {VERSIONS[name]}")
        packages.unpack()
        self.directory, self.root = packages.directory, packages.root
        self.nginx = packages.command("usr/sbin/nginx")
        self.module = self._build()

    def has(self, option: str) -> bool:
        """Whether its nginx was configured with it."""
        result = subprocess.run([*self.nginx, "-V"], capture_output=True, text=True, check=True)
        return option in result.stderr.split()

    def _build(self) -> Path:
        source, objs = self.root / "usr/share/nginx/src", self.directory / "objs"
        if not (objs / "ngx_auto_config.h").exists():
            configure = '. ./conf_flags && ./configure "${NGX_CONF_FLAGS[@]}" --builddir="$0"'
            run(["bash", "-c", configure, objs], cwd=source)
        target = self.directory / "target"
        environment = {
            "NGINX_SOURCE_DIR": str(source),
            "NGINX_BUILD_DIR": str(objs),
            "CARGO_TARGET_DIR": str(target),
            "CARGO_PROFILE_RELEASE_LTO": "off",
            "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
        }
        command = ["cargo", "build", "--quiet", "--release", "--locked"]
        run(command, cwd=ROOT, env={**os.environ, **environment})
        # The name tells in nginx's messages which one it is.
        module = self.directory / f"redis_cache-{self.version}.so"
        shutil.copyfile(target / "release/libngx_http_redis_cache_module.so", module)
        return module

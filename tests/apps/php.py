"""PHP's FastCGI server, for one application."""

import os
import shutil
import subprocess
from pathlib import Path

from support.ports import wait_for
from support.process import end


def program() -> str:
    """Debian has the version in the name."""
    found = sorted(Path("/usr/sbin").glob("php-fpm[0-9]*"))
    return str(found[-1]) if found else shutil.which("php-fpm")


class Php:
    """`variables` are in the environment of every request, and of scripts that `run` runs."""

    def __init__(self, directory: Path, variables: dict[str, str] | None = None):
        self.directory = directory
        directory.mkdir(parents=True)
        self.variables = variables or {}
        # Socket paths are short; pytest's directories are not.
        self.socket = f"/tmp/nrc-php-{os.getpid()}-{directory.parent.name[:20]}.sock"
        self.process = None

    def _config(self) -> str:
        environment = "".join(f"env[{name}] = {value}\n" for name, value in self.variables.items())
        as_root = "user = root\ngroup = root\n" if os.getuid() == 0 else ""
        return f"""[global]
error_log = {self.directory}/fpm.log
daemonize = no
[app]
listen = {self.socket}
{as_root}pm = static
pm.max_children = 4
catch_workers_output = yes
php_admin_flag[log_errors] = on
php_admin_value[error_log] = {self.directory}/php.log
php_admin_value[session.save_path] = {self.directory}
php_admin_value[sendmail_path] = /bin/true
{environment}"""

    def start(self):
        (self.directory / "fpm.conf").write_text(self._config())
        command = [
            program(),
            "--nodaemonize",
            "--fpm-config",
            str(self.directory / "fpm.conf"),
        ]
        if os.getuid() == 0:
            command.append("--allow-to-run-as-root")
        log = open(self.directory / "stderr", "ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)

        def started():
            assert self.process.poll() is None, self.log()
            return "ready to handle connections" in self.log()

        wait_for(started, "php-fpm", 60)
        return self

    def run(self, *command: str, code: str = "", directory: Path | None = None) -> str:
        """What a script printed: a file with its arguments, or `code`, from standard input."""
        result = subprocess.run(
            ["php", *command],
            input=code, capture_output=True, text=True, timeout=300,
            cwd=directory, env={**os.environ, **self.variables},
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def log(self) -> str:
        files = [self.directory / name for name in ("stderr", "fpm.log", "php.log")]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def stop(self):
        end(self.process, 15)
        Path(self.socket).unlink(missing_ok=True)

"""Every file in nginx-conf/ is a whole nginx.conf that `nginx -t` passes without a warning."""

import re
import shutil
import subprocess

import pytest
from support.nginx import MODULE, ROOT
from support.ports import free_port

SAMPLES = sorted((ROOT / "nginx-conf").glob("*.conf"))
LOAD = "load_module modules/ngx_http_redis_cache_module.so;"


def test_there_are_samples():
    assert SAMPLES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample(tmp_path, sample, certificates):
    text = sample.read_text()
    assert text.startswith(LOAD)
    for other in sample.parent.iterdir():
        if other.is_file():
            shutil.copy(other, tmp_path)
    files = [certificates.authority.certificate, certificates.client.certificate]
    for file, name in zip([*files, certificates.client.key], ["ca.pem", "client.pem", "client.key"]):
        shutil.copy(file, tmp_path / f"redis-{name}")
    text = text.replace(LOAD, f"load_module {MODULE};")
    text = re.sub(r"\blisten( +)((?:\S+:)?)\d+", lambda m: f"listen {m[2]}{free_port()}", text)
    text = text.replace("/var/log/nginx", str(tmp_path))
    text = text.replace("/etc/nginx/redis", f"{tmp_path}/redis")
    (tmp_path / "nginx.conf").write_text(text)
    globals_ = f"error_log {tmp_path}/error.log; pid {tmp_path}/nginx.pid;"
    command = ["nginx", "-t", "-p", tmp_path, "-c", "nginx.conf", "-g", globals_]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr

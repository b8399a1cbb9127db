"""What AddressSanitizer finds fails the test whose nginx it was, whatever else the test allows."""

import os
import signal

import pytest
from support.nginx import SANITIZED, Nginx
from support.ports import wait_for


def test_a_report_fails_the_test(tmp_path):
    nginx = Nginx(tmp_path, allow_alerts=True)
    nginx.check_error_log()
    (tmp_path / "logs/sanitizer.7").write_text("ERROR: AddressSanitizer: heap-use-after-free")
    with pytest.raises(AssertionError, match="heap-use-after-free"):
        nginx.check_error_log()


@pytest.mark.skipif(not SANITIZED, reason="for `make sanitize`")
def test_a_worker_writes_its_report(tmp_path):
    nginx = Nginx(tmp_path, "return 200 ok;", allow_alerts=True).start()
    try:
        os.kill(nginx.workers()[0], signal.SIGSEGV)
        wait_for(lambda: list(tmp_path.glob("logs/sanitizer.*")), "a report")
    finally:
        nginx.stop()
    with pytest.raises(AssertionError, match="AddressSanitizer: SEGV"):
        nginx.check_error_log()

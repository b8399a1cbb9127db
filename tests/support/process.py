"""Processes that a test has started."""

import signal
import subprocess


def end(process: subprocess.Popen | None, seconds: float = 10):
    """Ends it by SIGTERM, and by SIGKILL where that takes too long; one that runs no more is well."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)

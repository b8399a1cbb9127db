"""How much memory processes have."""

from pathlib import Path

import pytest

from .nginx import SANITIZED


def resident(pids) -> int:
    """Their resident memory in KiB."""
    if SANITIZED:
        pytest.skip("AddressSanitizer keeps what is freed for a while")
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts)

"""How much memory processes have."""

from pathlib import Path


def resident(pids) -> int:
    """Their resident memory in KiB."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts)

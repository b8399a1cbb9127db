"""What wrk says, and the tables that are made of it."""

import os
import re
import subprocess
import sys
from pathlib import Path


def parse_wrk(out: str) -> dict:
    def seconds(text):
        found = re.match(r"([\d.]+)(us|ms|s|m)", text)
        if not found:
            return float("nan")
        number, unit = found.groups()
        return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]

    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: (.*)", out)
    return {
        "requests": int(re.search(r"(\d+) requests in", out).group(1)),
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "p50": seconds(re.search(r"50%\s+(\S+)", out).group(1)),
        "p99": seconds(re.search(r"99%\s+(\S+)", out).group(1)),
        "bad": int(bad.group(1)) if bad else 0,
        "errors": errors.group(1) if errors else "",
    }


def table(title, medians):
    print(f"\n### {title}\n")
    print("| way to answer | requests/s | p50 ms | p99 ms | nginx CPU us | server CPU us | reads of Redis a request |")
    print("|---|---|---|---|---|---|---|")
    for name, result in medians.items():
        print(
            f"| {name} | {result['rate']:,.0f} | {result['p50'] * 1e3:.2f} | {result['p99'] * 1e3:.2f}"
            f" | {result['nginx']:.1f} | {result['helper']:.1f} | {result['reads']:.2f} |"
        )
    sys.stdout.flush()


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip()
    print(f"{os.cpu_count()} cores ({cpu.group(1) if cpu else 'unknown'}), {version}, "
          f"Linux {os.uname().release.split('-')[0]}; one worker, wrk on the other core.")

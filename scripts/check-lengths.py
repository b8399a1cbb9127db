#!/usr/bin/env python3
"""Nothing is longer than one can hold: files, functions, unsafe blocks. An unsafe block that has to be says
why in its SAFETY comment, behind "Long:"."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE, FUNCTION, UNSAFE = 400, 60, 15

RUST_FUNCTION = re.compile(r' *(?:pub(?:\(.*?\))? )?(?:const )?(?:unsafe )?(?:extern "C" )?fn (\w+)')
PYTHON_FUNCTION = re.compile(r" *(?:async )?def (\w+)")


def files() -> list[str]:
    """What is Rust or Python among the files of the project."""
    listed = subprocess.run([ROOT / "scripts/list-files.sh"], check=True, stdout=subprocess.PIPE)
    names = listed.stdout.decode().split("\0")
    return [name for name in names if name.endswith((".rs", ".py"))]


def indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def closed_at(lines: list[str], start: int) -> int:
    """The line of the brace that closes what begins on a line: rustfmt has both in one column."""
    closing = " " * indent(lines[start]) + "}"
    return next((at for at in range(start, len(lines)) if lines[at].startswith(closing)), start)


def has_body(lines: list[str], start: int) -> bool:
    """Whether a function of Rust is more than its signature, or than one line."""
    ends = (line for line in lines[start:] if line.endswith(("{", ";", "}")))
    return next(ends, ";").endswith("{")


def comment_above(lines: list[str], at: int) -> str:
    """The comment above the statement that a line belongs to."""
    while at > 0 and not lines[at - 1].lstrip().startswith("//"):
        at -= 1
        if lines[at].endswith((";", "{", "}")):
            return ""
    text = []
    while at > 0 and lines[at - 1].lstrip().startswith("//"):
        at -= 1
        text.append(lines[at])
    return " ".join(reversed(text))


def rust(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Line and fault of what is too long."""
    for at, line in enumerate(lines):
        function = RUST_FUNCTION.match(line)
        if function and has_body(lines, at):
            length = closed_at(lines, at) - at + 1
            if length > FUNCTION:
                yield at, f"fn {function[1]} has {length} lines"
        if line.endswith("unsafe {"):
            length = closed_at(lines, at) - at - 1
            if length > UNSAFE and "Long: " not in comment_above(lines, at):
                yield at, f'this unsafe block has {length} lines, and no "Long:" in its comment'


def python(lines: list[str]) -> Iterator[tuple[int, str]]:
    for at, line in enumerate(lines):
        function = PYTHON_FUNCTION.match(line)
        if not function:
            continue
        last = at
        for below in range(at + 1, len(lines)):
            if lines[below].strip():
                if indent(lines[below]) <= indent(line) and not lines[below].lstrip().startswith(")"):
                    break
                last = below
        if last - at + 1 > FUNCTION:
            yield at, f"def {function[1]} has {last - at + 1} lines"


def main() -> int:
    wrong = []
    for name in files():
        lines = (ROOT / name).read_text().splitlines()
        if len(lines) > FILE:
            wrong.append(f"{name} has {len(lines)} lines")
        too_long = rust(lines) if name.endswith(".rs") else python(lines)
        wrong += [f"{name}:{at + 1}: {fault}" for at, fault in too_long]
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

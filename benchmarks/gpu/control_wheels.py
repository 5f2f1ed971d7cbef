"""Prints what a control environment of Python 3.12 needs beside the stubs' packages, with pytest: names and pins, one a
line. Left out: tritonserver, which has a pack of its own, and what no step of ``served.sh`` uses."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
THERE = {"python_version": "3.12", "python_full_version": "3.12.3", "implementation_version": "3.12.3"}
LEFT_OUT = {"nvidia-pytriton", "uv", "modelscope", "modelscope-hub", "hf-xet"}
OF_STUBS = {"numpy", "pyzmq", "msgspec", "tokenizers"}
OF_TESTS = {"pytest", "pluggy", "iniconfig", "pytest-timeout", "packaging"}


def _pins(name: str) -> list[Requirement]:
    lines = (REQUIREMENTS / name).read_text().splitlines()
    pins = [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate(THERE)]


def main() -> None:
    """Prints them."""
    wanted = [pin for pin in _pins("control.txt") if pin.name not in LEFT_OUT | OF_STUBS]
    wanted += [pin for pin in _pins("dev.txt") if pin.name in OF_TESTS]
    print("\n".join(sorted({f"{pin.name}{pin.specifier}" for pin in wanted})))


if __name__ == "__main__":
    main()

"""Finds libpython, which Triton's Python stub embeds. Many Pythons come without it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from trident.errors import EnvironmentBroken

USUAL_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib",
                 "/usr/local/lib", "/usr/local/lib64")  # fmt: skip


def find_libpython(version: str | None = None) -> Path:
    """``libpython3.X.so.1.0`` for ``version`` ("3.11"), that of the running interpreter first. Raises
    ``EnvironmentBroken``."""
    version = version or f"{sys.version_info[0]}.{sys.version_info[1]}"
    name = f"libpython{version}.so.1.0"
    for folder in _folders():
        if (path := folder / name).is_file():
            return path
    if (cached := _from_linker_cache(name)) is not None:
        return cached
    raise EnvironmentBroken(
        f"{name} is missing: Triton cannot run Python models.",
        f"Triton's Python stub embeds it; this Python ({sys.base_prefix}) was built without it",
        f"`apt-get install libpython{version}` (Debian, Ubuntu), or use a Python built with --enable-shared, then "
        f"`make clean && make`",
    )


def _folders() -> Iterator[Path]:
    # The interpreter's own first: another build of the same version may lie in the system's folders.
    yield Path(sys.base_prefix) / "lib"
    if configured := sysconfig.get_config_var("LIBDIR"):
        yield Path(configured)
    yield from map(Path, USUAL_FOLDERS)


def _from_linker_cache(name: str) -> Path | None:
    for ldconfig in ("/sbin/ldconfig", "/usr/sbin/ldconfig"):
        if not Path(ldconfig).exists():
            continue
        listing = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
        for line in listing.splitlines():
            if line.strip().startswith(f"{name} ") and (path := Path(line.rpartition("=> ")[2])).is_file():
                return path
    return None

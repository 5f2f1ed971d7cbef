"""Which interpreters of this machine could carry the engine environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trident.runtime.pins import ENGINE_PYTHONS
from trident.runtime.uv import Uv


@dataclass(frozen=True)
class Interpreter:
    """``version`` like "3.11"; ``path`` is the binary outside any virtual environment."""

    version: str
    path: Path


def candidates(uv: Uv) -> Iterator[Interpreter]:
    """Interpreters to try, best first: the version that runs Trident, then the other versions vLLM can use. Looks at
    each version only when asked for it, as uv starts interpreters to know them."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in sorted(ENGINE_PYTHONS, key=lambda version: version != own):
        path = own_interpreter() if version == own else find(uv, version)
        if path:
            yield Interpreter(version, path)


def own_interpreter() -> Path | None:
    """The interpreter that the control environment was made from."""
    path = Path(getattr(sys, "_base_executable", "") or sys.executable)
    return path if path.exists() else None


def find(uv: Uv, version: str) -> Path | None:
    """An installed interpreter of ``version``: what uv knows (PATH, its own), else one beside ours or in pyenv."""
    outcome = uv.run(["python", "find", "--no-python-downloads", "--no-project", "--system", "--quiet", version])
    if outcome.ok and outcome.tail and (found := Path(outcome.tail[-1])).exists():
        return found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    # Versions lie side by side in pyenv, asdf, mise and uv; PATH shows one of them at a time.
    for folder in (Path(sys.base_prefix).parent, pyenv):
        for binary in sorted(folder.glob(f"*{version}*/bin/python{version}"), reverse=True):
            return binary
    return None


def download(uv: Uv) -> Interpreter | None:
    """The last resort, for a machine that only has Python 3.10: uv's own build of the first choice. None when that
    fails or the user has forbidden it (``UV_PYTHON_DOWNLOADS``)."""
    version = ENGINE_PYTHONS[0]
    if os.environ.get("UV_PYTHON_DOWNLOADS", "").lower() in ("never", "manual", "false", "0"):
        return None
    if not uv.run(["python", "install", "--no-bin", version]).ok:
        return None
    path = find(uv, version)
    return Interpreter(version, path) if path else None

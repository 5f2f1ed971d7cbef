"""A folder from which a user runs tritonserver himself: ``bin/tritonserver`` and ``backends/{python,vllm}``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from trident.config import paths
from trident.errors import ConfigurationError, EnvironmentBroken
from trident.runtime.control_env import TritonInstall
from trident.triton.command import DEEPEN_STACK, SHM_REGION_BYTES

MARK = "# Written by `trident triton-dir`"
STUB_TIMEOUT_S = 3600
MOVED = ("TRIDENT_DATA_DIR", "TRIDENT_STATE_DIR")
"""Places that this user has moved: who runs the server later finds the same."""

_WRAPPER = """\
#!/bin/sh
{mark}; it runs Triton's own server as Trident does.
root=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd) || exit 1
unset PYTHONPATH PYTHONHOME
{moved}PATH={path}:$PATH
LD_LIBRARY_PATH={libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
PYTHONUNBUFFERED=1
export PATH LD_LIBRARY_PATH PYTHONUNBUFFERED
# Triton parses JSON recursively: a deep body must not end it.
{deepen_stack}
case " $*" in
*" --backend-directory"*) ;;
*) set -- "--backend-directory=$root/backends" "$@" ;;
esac
exec {server} \\
    --backend-config=python,shm-default-byte-size={region_bytes} \\
    --backend-config=python,stub-timeout-seconds={stub_timeout_s} "$@"
"""


def write(folder: Path, install: TritonInstall, environ: Mapping[str, str]) -> None:
    """Makes the tree, or makes it anew where an earlier one is. Raises ConfigurationError for a folder that holds
    something else, or whose path Triton cannot use; EnvironmentBroken when it cannot be written."""
    folder = folder.absolute()
    if not paths.is_plain(folder):
        raise ConfigurationError(
            f"Cannot make a tree in {folder}",
            "Triton starts its backends by an unquoted shell command: only letters, digits and /.,+@=_- may be in it",
            "choose another folder",
        )
    wrapper = folder / "bin" / "tritonserver"
    try:
        if folder.exists() and any(folder.iterdir()) and not _is_ours(wrapper):
            raise ConfigurationError(f"{folder} is not empty", "it was not made by this command", "name another folder")
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        (folder / "backends").mkdir(exist_ok=True)
        for backend in install.backend_dir.iterdir():
            link = folder / "backends" / backend.name
            link.unlink(missing_ok=True)
            link.symlink_to(backend, target_is_directory=True)
        wrapper.write_text(_script(install, environ), encoding="utf-8")
        wrapper.chmod(0o755)
    except OSError as error:
        raise EnvironmentBroken(
            f"Cannot write into {folder}", error.strerror or str(error), "make it writable"
        ) from error


def _is_ours(wrapper: Path) -> bool:
    return wrapper.is_file() and MARK in wrapper.read_text(encoding="utf-8", errors="replace")


def _script(install: TritonInstall, environ: Mapping[str, str]) -> str:
    moved = [f"{name}={shlex.quote(environ[name])}" for name in MOVED if environ.get(name)]
    return _WRAPPER.format(
        mark=MARK,
        moved=f"export {' '.join(moved)}\n" if moved else "",
        path=shlex.quote(os.fspath(install.python.parent)),
        libraries=shlex.quote(os.pathsep.join(map(os.fspath, install.library_dirs))),
        deepen_stack=DEEPEN_STACK,
        server=shlex.quote(os.fspath(install.server)),
        region_bytes=SHM_REGION_BYTES,
        stub_timeout_s=STUB_TIMEOUT_S,
    )

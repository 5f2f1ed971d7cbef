"""``python -m trident.engine SPEC``: one engine host. Exit code 3 means that it can never start like this."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from trident.protocol import nursery, spec, status

CANNOT_START = 3
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Forked children (EngineCore, OpenAI server) must not outlive the host, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def imported() -> Callable[[Path], int]:
    """Imports vLLM; what it returns runs a host until it is told to stop."""
    os.register_at_fork(after_in_child=_die_with_parent)
    # Importing makes a million objects that stay: collecting meanwhile costs a third of the import, and a frozen
    # heap keeps the pages that the forked children share.
    gc.disable()
    from trident.engine import host

    gc.collect()
    gc.freeze()
    gc.enable()
    return lambda path: host.run(spec.load(spec.HostSpec, path.read_bytes()))


def main() -> int:
    """Runs a host, or stands for one that was forked by a process that has imported vLLM already."""
    path = Path(sys.argv[1])
    spec.load(spec.HostSpec, path.read_bytes())
    status.report(status.Phase("importing vLLM"))
    if nursery.VARIABLE in os.environ:
        from trident.engine.nursery import borrow

        code = borrow(nursery.Place.parse(os.environ[nursery.VARIABLE]), path)
        if code is not None:
            return code
    return imported()(path)


if __name__ == "__main__":
    sys.exit(main())

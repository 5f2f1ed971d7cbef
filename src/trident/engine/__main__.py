"""``python -m trident.engine SPEC``: one engine host. Exit code 3 means that it can never start like this."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

from trident.protocol import spec, status

CANNOT_START = 3
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Forked children (EngineCore, OpenAI server) must not outlive the host, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Runs a host until it is told to stop."""
    host_spec = spec.load(spec.HostSpec, Path(sys.argv[1]).read_bytes())
    os.register_at_fork(after_in_child=_die_with_parent)
    status.report(status.Phase("importing vLLM"))
    # Importing makes a million objects that stay: collecting meanwhile costs a third of the import, and a frozen
    # heap keeps the pages that the forked children share.
    gc.disable()
    from trident.engine import host

    gc.collect()
    gc.freeze()
    gc.enable()
    return host.run(host_spec)


if __name__ == "__main__":
    sys.exit(main())

"""How a stub gets its engine: it connects to the *keeper*, says what it wants and is told where that engine is.

The connection is the lease: the engine host runs as long as one of its leases is open, and the kernel closes those of a
stub that is killed. One JSON line each way; a stub that unloads its model writes ``GOODBYE`` before it hangs up.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from trident.protocol.sockets import MAX_PATH_BYTES
from trident.protocol.spec import StubSpec

VARIABLE = "TRIDENT_KEEPER"
"""Names the socket of the keeper that a tritonserver's stubs use; without it they use one of their server's own."""

GOODBYE = b"goodbye\n"

ENGINE_PARAMETER = "TRIDENT_ENGINE"
"""In ``config.pbtxt``: models that name the same engine, and have equal ``model.json``, share it."""
DEFAULTS_PARAMETER = "TRIDENT_DEFAULTS"
"""In ``config.pbtxt``: sampling parameters for requests that send none, a JSON object."""


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """The engine of one model version, as tritonserver describes it to its stub; ``engine`` is what it is called.

    ``folder`` holds ``VERSION/model.json``; ``parameters`` are those of ``config.pbtxt``; ``kind`` and ``device`` are
    the instance's (``KIND_GPU``, 0).
    """

    model: str
    engine: str
    version: str
    folder: str
    parameters: dict[str, str]
    kind: str
    device: int


class Granted(msgspec.Struct, tag="granted", frozen=True):
    """The engine serves."""

    stub: StubSpec


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """There is no such engine, and why, as the three lines of an error."""

    what: str
    why: str
    next_step: str


Answer = Granted | Refused


def socket_of(triton_pid: int) -> Path:
    """Where the keeper of a tritonserver that nobody of ours started listens. Its folder must be this user's."""
    name = f"trident-{os.getuid()}-triton-{triton_pid}"
    folder = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(folder)) + 20 > MAX_PATH_BYTES:
        folder = Path("/tmp") / name
    return folder / "keeper.sock"

"""How many files and sockets a server may have open."""

from __future__ import annotations

import resource

WANTED = 65_536


def allow_many() -> None:
    """Raises this process' limit, which its children inherit, to what is wanted or allowed. The usual soft limit of
    1024 is for programs that call select(); tritonserver, vLLM and ours do not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

"""Reads the cause out of what uv wrote when it failed."""

from __future__ import annotations

import re
from pathlib import Path

from trident.errors import EnvironmentBroken
from trident.runtime.uv import Outcome

NETWORK = re.compile(
    r"error sending request|client error \(connect\)|dns error|failed to lookup address|connection (refused|reset)"
    r"|network is unreachable|no route to host|timed? ?out|tunnel|tls|certificate|connectivity is disabled"
    r"|failed to fetch|network was disabled|status (server|client) error|5\d\d (bad gateway|service unavailable)",
    re.IGNORECASE,
)
TLS = re.compile(r"certificate|invalid peer|unknownissuer|tls handshake", re.IGNORECASE)
HASH = re.compile(r"hash mismatch|hashes? .*(do not|does not|don't) match|no matching hash", re.IGNORECASE)
DISK = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
PERMISSION = re.compile(r"permission denied|read-only file system|operation not permitted", re.IGNORECASE)
RESOLUTION = re.compile(r"no solution found|no wheels? with a matching|no version of", re.IGNORECASE)
ADDRESS = re.compile(r"https?://(?:[^/@\s]*@)?([^/:\s)`]+)")


def is_network(outcome: Outcome) -> bool:
    """Whether it failed for want of a connection, as far as its words tell."""
    return bool(NETWORK.search("\n".join(outcome.tail)))


def cause(outcome: Outcome) -> str:
    """The line that says most: the deepest cause, else the error line, else the last line."""
    lines = [line.strip() for line in outcome.tail if line.strip()]
    marked = [line for line in lines if re.match(r"(error|cause|caused by|×|╰─▶|├─▶)[: ]", line, re.IGNORECASE)]
    chosen = marked[-1] if marked else (lines[-1] if lines else "it said nothing")
    return re.sub(r"^(error|cause|caused by)[: ]+", "", chosen, flags=re.IGNORECASE)[:300]


def explain(outcome: Outcome, doing: str, log_path: Path) -> EnvironmentBroken:
    """The error for a failed uv command that was ``doing`` something ("installing vLLM")."""
    text = "\n".join(outcome.tail)
    what = f"{doing[0].upper()}{doing[1:]} failed; nothing half-made was left."
    hosts = ADDRESS.findall(text)
    host = hosts[-1] if hosts else "the package registry"

    def broken(why: str, next_step: str) -> EnvironmentBroken:
        return EnvironmentBroken(what, why, next_step, log_path=log_path)

    if HASH.search(text):
        return broken(
            f"a downloaded file is not the one that was pinned ({cause(outcome)})",
            "a mirror or cache changed it: run `uv cache clean`, then try again; if it stays so, use another mirror",
        )
    if DISK.search(text):
        return broken("the disk is full", "free some space, or move TRIDENT_DATA_DIR and UV_CACHE_DIR to a larger disk")
    if TLS.search(text):
        return broken(
            f"the certificate of {host} is not trusted ({cause(outcome)})",
            "behind an inspecting proxy, point SSL_CERT_FILE at its CA bundle and try again",
        )
    if NETWORK.search(text):
        return broken(
            f"no route to {host} ({cause(outcome)})",
            "check the network and HTTPS_PROXY; for a mirror, set PIP_INDEX_URL or UV_DEFAULT_INDEX; then try again",
        )
    if PERMISSION.search(text):
        return broken(
            f"a folder may not be written ({cause(outcome)})",
            "point TRIDENT_DATA_DIR and UV_CACHE_DIR at folders of yours",
        )
    if RESOLUTION.search(text):
        return broken(
            f"the configured package sources lack a pinned version ({cause(outcome)})",
            "check PIP_INDEX_URL / UV_DEFAULT_INDEX: the mirror may be out of date",
        )
    return broken(f"uv ended with code {outcome.code}: {cause(outcome)}", "read the log, then try again")

"""The page's own files, read once: no other place is ever read for a request."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
OPEN = ("/login.html", "/login.js", "/style.css", "/icon.svg", "/words.js")
"""What is shown before somebody has said who he is."""


class Asset(NamedTuple):
    """One file."""

    kind: str
    body: bytes


def load() -> dict[str, Asset]:
    """By the path at which each is asked for."""
    folder = Path(__file__).parent / "static"
    return {
        f"/{file.name}": Asset(KINDS[file.suffix], file.read_bytes())
        for file in sorted(folder.iterdir())
        if file.suffix in KINDS
    }

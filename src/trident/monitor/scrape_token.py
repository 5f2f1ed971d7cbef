"""What Prometheus, our child, shows at the monitor's ``/metrics`` where users show an API key: a secret of one run. A
user's key would have to stand in Prometheus's files, and changes under it."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

FILE_NAME = "scrape-token"


def path(run_dir: Path) -> Path:
    """Where it is: Prometheus reads it there."""
    return run_dir / FILE_NAME


def make(run_dir: Path) -> Path:
    """A new one, readable by this user alone."""
    file = path(run_dir)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return file


def accepts(run_dir: Path, presented: bytes) -> bool:
    """It is the one of this run, told in constant time; False where there is none."""
    try:
        known = path(run_dir).read_bytes()
    except OSError:
        return False
    return bool(known) and hmac.compare_digest(known, presented)

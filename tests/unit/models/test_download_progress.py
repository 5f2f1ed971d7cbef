from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from trident.models import progress


def test_each_tenth_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "POLL_S", 0.01)
    lines: list[str] = []
    folder, beside = tmp_path / "folder", tmp_path / "beside"
    folder.mkdir()
    with progress.watched(folder, 1_000_000, lines.append):
        for part in range(2):
            beside.write_bytes(bytes(400_000))
            beside.rename(folder / f"part{part}")  # whole at once: a look in between would see half of it
            deadline = time.monotonic() + 5
            while len(lines) <= part and time.monotonic() < deadline:
                time.sleep(0.01)
    assert [line.split()[0] for line in lines] == ["40", "80"]
    assert lines[0].endswith("% of 1 MB")


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (1_503_300_000, "1.5 GB"), (2e12, "2 TB")]
)
def test_size_text(size_bytes: int, text: str) -> None:
    assert progress.size_text(size_bytes) == text


def test_warnings_go_to_report() -> None:
    lines: list[str] = []
    logger = logging.getLogger("some.library")
    with progress.warnings_reported("some.library", lines.append):
        logger.warning("first\n  second")
        logger.info("nothing")
    logger.debug("after")
    assert lines == ["first second"]

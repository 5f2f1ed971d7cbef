from __future__ import annotations

import stat
from pathlib import Path

from trident.monitor import scrape_token


def test_token_of_this_run_is_accepted_and_no_other(tmp_path: Path) -> None:
    first = scrape_token.make(tmp_path).read_bytes()
    second = scrape_token.make(tmp_path).read_bytes()

    assert scrape_token.accepts(tmp_path, second)
    assert not scrape_token.accepts(tmp_path, first)
    assert not scrape_token.accepts(tmp_path, b"")


def test_nothing_is_accepted_without_a_token(tmp_path: Path) -> None:
    assert not scrape_token.accepts(tmp_path, b"")
    scrape_token.path(tmp_path).touch()
    assert not scrape_token.accepts(tmp_path, b"")


def test_token_is_for_this_user_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(scrape_token.make(tmp_path).stat().st_mode) == 0o600

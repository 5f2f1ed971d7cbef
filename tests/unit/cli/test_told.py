from __future__ import annotations

import stat
from pathlib import Path

import pytest

from trident.cli.told import FILE_NAME, Told
from trident.config.engine_arguments import Given


def test_what_serve_was_told_is_kept_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trident.toml").write_text("")
    monkeypatch.setenv("TRIDENT_HTTP_PORT", "1234")
    told = Told.now({"model": "demo", "stubs": "2"}, [Given("max_num_seqs", "8"), Given("enforce_eager", None)], None)
    told.save(tmp_path / "run")
    assert Told.load(tmp_path / "run") == told
    assert (told.file, told.environ) == (tmp_path / "trident.toml", {"TRIDENT_HTTP_PORT": "1234"})
    assert stat.S_IMODE((tmp_path / "run" / FILE_NAME).stat().st_mode) == 0o600


def test_later_words_count_more_and_earlier_ones_stay() -> None:
    earlier = Told(
        {"model": "demo", "stubs": "2"}, [Given("max_num_seqs", "8")], Path("/a.toml"), {"TRIDENT_HOST": "a"}
    )
    later = Told({"model": None, "stubs": "3"}, [Given("max_num_seqs", "4")], None, {"TRIDENT_HOST": "b"})
    both = earlier.with_later(later)
    assert both.flags == {"model": "demo", "stubs": "3"}
    assert [one.text for one in both.given] == ["8", "4"]
    assert (both.file, both.environ) == (Path("/a.toml"), {"TRIDENT_HOST": "b"})


def test_server_of_an_older_version_was_told_nothing(tmp_path: Path) -> None:
    assert Told.load(tmp_path) == Told()

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from trident.gateway.keys import Keys, read


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "keys"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_file_holds_one_key_a_line(tmp_path: Path) -> None:
    assert read(written(tmp_path, "# ours\none\n\n  two \n#three\n")) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("one\n", 0o644, "chmod 600"),
        ("one\n", 0o620, "chmod 600"),
        ("# none\n", 0o600, "no key"),
        ("one two\n", 0o600, "line 1 is no key"),
        ("schlüssel\n", 0o600, "line 1 is no key"),
    ],
)
def test_file_that_is_no_good_is_refused(tmp_path: Path, text: str, mode: int, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read(written(tmp_path, text, mode))
    assert "two" not in str(caught.value), "the message must not tell the key"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        Keys([], tmp_path / "none")


def test_each_key_is_accepted_and_nothing_else(tmp_path: Path) -> None:
    keys = Keys(["given"], written(tmp_path, "one\ntwo\n"))
    assert keys and all(keys.accept(key) for key in (b"given", b"one", b"two"))
    assert not any(keys.accept(key) for key in (b"", b"on", b"oneone", b"ONE", b"one\n", b"\xff" * 10_000))
    assert not Keys([], None)


def test_every_key_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    assert Keys(["first-of-them"], written(tmp_path, "one\ntwo\n")).accept(b"first-of-them")
    assert compared == [(32, 32)] * 3


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    file = written(tmp_path, "old\n")
    keys = Keys([], file)
    file.write_text("new-one\n", encoding="utf-8")
    assert keys.accept(b"new-one") and not keys.accept(b"old")


def test_bad_change_leaves_the_keys_and_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path, "good\n")
    keys = Keys([], file)
    with caplog.at_level(logging.ERROR):
        os.truncate(file, 0)
        assert keys.accept(b"good") and keys.accept(b"good")
        file.unlink()
        assert keys.accept(b"good") and keys.accept(b"good")
    assert len(caplog.records) == 2 and "good" not in caplog.text.replace("good\n", "")

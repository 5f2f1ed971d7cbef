from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from trident.protocol import status
from trident.protocol.status import Beat, Failed, Phase, Ready


def test_status_reaches_the_supervisors_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setenv(status.FD_VARIABLE, str(writing))
    said = [Phase("importing vLLM"), Ready({"replicas": 1}, {"engine core": 5}), Failed("what", "why", "next")]
    for item in said:
        status.report(item)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert [status.parse(line) for line in pipe] == said


def test_status_without_a_supervisor_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(status.FD_VARIABLE, raising=False)
    status.report(Phase("alone"))


@pytest.mark.parametrize("line", [b"hello\n", b"{}\n", b'{"type":"other"}\n', b"\xff\n"])
def test_line_that_is_no_status_is_none(line: bytes) -> None:
    assert status.parse(line) is None


def test_a_very_long_cause_is_still_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setenv(status.FD_VARIABLE, str(writing))
    status.report(Failed("what", "w" * 100_000, "next"))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        parsed = status.parse(pipe.readline())
    assert isinstance(parsed, Failed) and parsed.why.startswith("www")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Its reading end; nobody reads."""
    reading, writing = os.pipe()
    monkeypatch.setenv(status.FD_VARIABLE, str(writing))
    yield reading
    os.close(reading)
    os.close(writing)


def test_beat_says_whether_it_is_the_last(pipe: int) -> None:
    status.beat()
    assert status.parse(os.read(pipe, 4096)) == Beat()
    status.beat(is_last=True)
    assert status.parse(os.read(pipe, 4096)) == Beat(is_last=True)


def test_beats_that_nobody_reads_leave_room_for_news(pipe: int) -> None:
    for _ in range(10_000):
        status.beat()
    status.report(Phase("news"))
    lines = os.read(pipe, 1 << 20).splitlines()
    assert status.MOST_UNREAD_BYTES // 100 < len(lines) < status.MOST_UNREAD_BYTES // 20
    assert status.parse(lines[-1]) == Phase("news")

from __future__ import annotations

import os

import pytest

from trident.protocol import status
from trident.protocol.status import Failed, Phase, Ready


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

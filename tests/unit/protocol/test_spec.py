from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from trident.protocol import spec

STUB = spec.StubSpec(
    relays=["ipc:///a"], sockets_dir="/s", start_timeout_s=1.0, response_share=0.5, defaults={"top_p": 0.9}
)


def test_spec_survives_its_file(tmp_path: Path) -> None:
    STUB.save(tmp_path / "stub.json")
    assert spec.load(spec.StubSpec, (tmp_path / "stub.json").read_bytes()) == STUB
    assert stat.S_IMODE((tmp_path / "stub.json").stat().st_mode) == 0o600


def test_spec_refuses_unknown_and_missing_fields() -> None:
    with pytest.raises(msgspec.ValidationError, match="response_share"):
        spec.load(spec.StubSpec, '{"relays": [], "sockets_dir": "", "start_timeout_s": 1, "defaults": {}}')
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        spec.load(spec.StubSpec, '{"relay": []}')

"""Two environments of vLLM side by side: switch, serve from it, switch back; what is used or runs is not removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from copied_installation import CopiedInstallation, link_tree

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[CopiedInstallation]:
    made = CopiedInstallation.make(tmp_path)
    yield made
    made.trident("stop")
    made.heal()


def states(it: CopiedInstallation) -> dict[str, bool]:
    return {one["name"]: one["used"] for one in json.loads(it.trident("engine", "list", "--json").stdout)}


def test_switch_serve_and_switch_back(copied: CopiedInstallation) -> None:
    own, other = copied.engine_name, f"{copied.engine_name}-older"
    folder = copied.engine.with_name(other)
    link_tree(copied.engine, folder)
    stamp = json.loads((folder / "trident.json").read_text())
    (folder / "trident.json").unlink()
    (folder / "trident.json").write_text(json.dumps({**stamp, "pins_sha256": "of an older Trident"}))
    assert states(copied) == {own: True, other: False}

    assert copied.trident("engine", "use", other).returncode == 0
    started = copied.trident("serve", "--detach")
    assert started.returncode == 0, started.stderr
    text = {"text_input": "The capital of France is", "max_tokens": 8, "temperature": 0}
    answer = httpx.post(f"http://127.0.0.1:{copied.ports[0]}/v2/models/generate/generate", json=text, timeout=60)
    assert " Paris." in answer.json()["text_output"]
    state = json.loads((copied.run_dir / "state.json").read_text())
    (host,) = (child["process"]["pid"] for child in state["children"] if child["name"] == "engine host")
    assert psutil.Process(host).cmdline()[0].startswith(f"{folder}/")

    refused = copied.trident("engine", "remove", other)
    assert refused.returncode != 0 and "is the one that is used" in refused.stderr
    assert copied.trident("engine", "use", "default").returncode == 0
    assert states(copied) == {own: True, other: False}
    refused = copied.trident("engine", "remove", other)
    assert refused.returncode != 0 and "runs from it" in refused.stderr
    assert copied.trident("stop").returncode == 0
    assert copied.trident("engine", "remove", other).returncode == 0
    assert states(copied) == {own: True} and not folder.exists()


def test_version_that_cannot_be_installed_changes_nothing(
    copied: CopiedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    failed = copied.trident("setup", "--engine", "cpu", "--engine-version", "0.0.1")
    assert failed.returncode == 3 and "nothing half-made was left" in failed.stderr, failed.stderr
    assert states(copied) == {copied.engine_name: True}
    assert copied.trident("doctor", "--quiet").returncode == 0

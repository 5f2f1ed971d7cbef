"""docs/kserve.md names the test of each row of the contract: they exist, and no tensor is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

from trident.triton.stub.contract import GENERATE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "kserve.md").read_text(encoding="utf-8")


def test_kserve_page_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "e2e").rglob("test_*.py"))
    assert named and named <= set(re.findall(r"def (test_\w+)\(", sources))


def test_kserve_page_has_every_tensor() -> None:
    for tensor in (*GENERATE.inputs, *GENERATE.outputs):
        assert f"`{tensor.name}`" in PAGE, tensor.name

"""The reference page is what its generator makes, and every configuration shown in a document can be loaded."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from trident.config import load

ROOT = Path(__file__).parents[3]
DOCUMENTS = ("README.md", "README.zh-CN.md", "docs/configuration.md")


@pytest.fixture(scope="module")
def page() -> str:
    made: str = runpy.run_path(str(ROOT / "tools" / "configuration_page.py"))["page"]()
    return made


def test_committed_page_is_what_the_generator_makes(page: str) -> None:
    committed = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert committed == page, "run: python tools/configuration_page.py"


def test_page_escapes_bars_inside_its_tables(page: str) -> None:
    (row,) = (line for line in page.splitlines() if line.startswith("| `recipe_stop`"))
    assert len(re.split(r"(?<!\\)\|", row)) == 8


@pytest.mark.parametrize("document", DOCUMENTS)
def test_configuration_shown_in_a_document_can_be_loaded(document: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        file = tmp_path / "trident.toml"
        file.write_text(block, encoding="utf-8")
        load(file=file, environ={})

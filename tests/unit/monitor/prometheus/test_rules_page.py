from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_committed_page_is_what_the_rules_say() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "rules_page.py"))["text"]()

    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == made, "run: python tools/rules_page.py"

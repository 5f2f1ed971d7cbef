"""docs/security.md names a test for each line of the threat model, or says that there is none."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("## Who could want what")[2].splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| threat"))
]


def test_security_page_has_a_test_or_none_for_every_threat() -> None:
    assert len(THREATS) > 20
    for threat, answer, tests in THREATS:
        assert threat and answer
        assert tests == "none" or re.fullmatch(r"`test_\w+`(, `test_\w+`)*", tests), threat


def test_security_page_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert named and named <= set(re.findall(r"def (test_\w+)\(", sources))

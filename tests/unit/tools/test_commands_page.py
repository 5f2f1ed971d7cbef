"""The page of the commands is what its generator makes."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "commands.md"


def test_committed_page_is_what_the_generator_makes() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "commands_page.py"))["text"]()
    assert PAGE.read_text(encoding="utf-8") == made, "run: make man"


def test_settings_stand_on_the_page_of_the_configuration_alone() -> None:
    (serve,) = (part for part in PAGE.read_text(encoding="utf-8").split("\n## ") if part.startswith("`trident serve`"))
    assert "`--detach`" in serve and "--http-port" not in serve and "configuration.md" in serve

"""The manual page is what its generator makes, and says of each command what its help says."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from trident.cli.main import COMMANDS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "man" / "trident.1"


@pytest.fixture(scope="module")
def page() -> str:
    made: str = runpy.run_path(str(ROOT / "tools" / "man_page.py"))["text"]()
    return made


def test_committed_page_is_what_the_generator_makes(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, "run: make man"


def test_page_has_every_command_and_its_options(page: str) -> None:
    titles = " ".join(re.findall(r'^\.SS "(.*)"$', page, re.MULTILINE)).replace("\\-", "-")
    assert all(f"trident {name}" in titles for name in COMMANDS)
    for option in ("--http-port", "--max-queue-wait-s", "--fail-on-regression", "--prometheus-url", "--print"):
        assert option.replace("-", "\\-") in page


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_page_is_good_roff() -> None:
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(PAGE)]
    shown = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert shown.returncode == 0 and not shown.stderr, shown.stderr
    plain = re.sub(".\x08", "", shown.stdout)  # a letter that is printed twice is bold
    assert "--http-port" in plain and "trident.toml" in plain

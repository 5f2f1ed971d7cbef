"""No block of commands is skipped in silence, and what a page types exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import ROOT, Block, blocks, headings, pages, translations
from shell_words import commands
from typed_options import vllm_arguments

from trident.config import load

BLOCKS = [block for path in pages() for block in blocks(path)]
COMMANDS = [block for block in BLOCKS if block.is_commands]
TARGETS = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.language, "say sh or console, so that it is known for commands"
    assert block.is_understood, "the line before it says what is done with it, see tests/e2e/pages/documents.py"


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_typed_options_exist(block: Block) -> None:
    for words in commands(block.commands):
        program = words[0].rpartition("/")[2]
        if program == "trident":
            vllm_arguments(words[1:])
        elif program == "make":
            assert {word for word in words[1:] if "=" not in word} <= TARGETS
        elif program.startswith("python") and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), words[1]


def test_mark_stands_before_a_block() -> None:
    for path in pages():
        marks = re.findall(r"^ *<!-- (?:run|not run|file)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(marks) == sum(block.kind is not None for block in blocks(path)), path


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"], ids=str)
def test_configuration_on_a_page_can_be_loaded(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "trident.toml"
    file.write_text(block.text, encoding="utf-8")
    load(file=file, environ={})


@pytest.mark.parametrize("chinese", translations(), ids=lambda path: str(path.relative_to(ROOT)))
def test_chinese_page_has_what_the_english_one_has(chinese: Path) -> None:
    english = translations()[chinese]
    assert headings(chinese) == headings(english)
    assert [_typed(block) for block in blocks(chinese)] == [_typed(block) for block in blocks(english)]


def _typed(block: Block) -> tuple[str, list[list[str]] | str]:
    """What is typed, whatever the comments beside it say; of other blocks the kind alone."""
    return block.language, list(commands(block.commands)) if block.is_commands else ""

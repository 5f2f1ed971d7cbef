"""vLLM's own arguments that stand in the documentation are those of the installed vLLM. What it refuses is shown on the
page, or is of a GPU's build."""

from __future__ import annotations

import pytest
from documents import Block, blocks, pages
from shell_words import commands
from typed_options import vllm_arguments

from trident.config.engine_arguments import EngineArguments
from trident.config.paths import data_dir
from trident.errors import ConfigurationError
from trident.runtime.engine_env import engine_env

pytestmark = pytest.mark.e2e

BLOCKS = [block for path in pages() for block in blocks(path) if block.is_commands]


@pytest.fixture(scope="module")
def installed() -> EngineArguments:
    env = engine_env("auto", data_dir())
    assert env is not None
    return EngineArguments.read(env.arguments_path)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_arguments_on_a_page_are_vllms(block: Block, installed: EngineArguments) -> None:
    for words in commands(block.commands):
        if words[0].endswith("trident"):
            try:
                tables, left = installed.sort(vllm_arguments(words[1:]))
                installed.check(tables)
            except ConfigurationError as error:
                is_of_a_gpu = "GPU" in block.detail and "CPU build" in error.what
                assert is_of_a_gpu or error.what in block.text, error
            else:
                assert not left, left

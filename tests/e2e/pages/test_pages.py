"""Every block of the documentation that is marked to be run is run, as a reader of the page would.

With PAGES_IN_FULL=1 those too that take long or start one server more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import WHILE_SERVED, Block, blocks, pages
from own_network import OwnNetwork
from reader import Reader

IS_FULL = os.environ.get("PAGES_IN_FULL") == "1"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200 if IS_FULL else 600)]


def _marked(path: Path) -> list[Block]:
    return [block for block in blocks(path) if block.kind in ("run", "file") and (IS_FULL or not block.is_slow)]


def _order(path: Path) -> int:
    """Pages that start servers of their own, then all that ask the plain one, which so is started once."""
    asks = any(block.detail == WHILE_SERVED or block.awaited_url for block in _marked(path))
    starts = any(block.starts_server for block in _marked(path))
    return 0 if starts and not asks else 1 if not starts else 2


FOLLOWED = sorted((path for path in pages() if any(block.kind == "run" for block in _marked(path))), key=_order)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with OwnNetwork() as network:
        reader = Reader(tmp_path_factory.mktemp("s"), network)
        yield reader
        reader.stop()


@pytest.mark.parametrize("path", FOLLOWED, ids=lambda path: path.stem)
def test_commands_of_a_page_pass(path: Path, reader: Reader, tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    reader.open(folder)
    try:
        for block in _marked(path):
            reader.follow(block, folder)
    finally:
        reader.close()

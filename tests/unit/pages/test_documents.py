from __future__ import annotations

from pathlib import Path

import pytest
from documents import blocks, headings

PAGE = """\
# One

<!-- run -->
```sh
trident status
```

## Two

- a list
  <!-- not run: needs a GPU -->
  ```sh
  trident serve \\
      MODEL
  ```

<!-- run: until http://127.0.0.1:8003 answers -->
```console
$ trident a \\
    b
said
$ trident c
```

```
trident unmarked
# no heading
```

```
a picture
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_blocks_have_their_marks(page: Path) -> None:
    found = list(blocks(page))
    assert [(block.line, block.kind, block.detail) for block in found] == [
        (4, "run", ""),
        (12, "not run", "needs a GPU"),
        (18, "run", "until http://127.0.0.1:8003 answers"),
        (25, None, ""),
        (30, None, ""),
    ]
    assert [block.is_understood for block in found] == [True, True, True, False, False]
    assert found[2].awaited_url == "http://127.0.0.1:8003"


def test_block_of_commands_is_known_without_its_language(page: Path) -> None:
    assert [block.is_commands for block in blocks(page)] == [True, True, True, True, False]


def test_transcript_gives_what_was_typed(page: Path) -> None:
    typed = [block.commands for block in blocks(page)]
    assert typed[1] == "trident serve \\\n    MODEL\n"
    assert typed[2] == "trident a \\\n    b\ntrident c\n"


def test_headings_are_not_comments_in_blocks(page: Path) -> None:
    assert headings(page) == [1, 2]


def test_slow_block_is_one_that_is_run(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("<!-- run when there is time: starts a server -->\n```sh\ntrident serve\n```\n")
    (block,) = blocks(path)
    assert block.is_slow and block.starts_server and block.is_understood


def test_command_with_its_folder_is_one(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```\n.venv/bin/python tool.py\n```\n")
    assert [block.is_commands for block in blocks(path)] == [True]


@pytest.mark.parametrize("mark", ["<!-- run: sometimes -->", "<!-- not run: -->", "<!-- not run -->", "<!-- file -->"])
def test_unclear_mark_is_not_understood(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"{mark}\n```sh\ntrident status\n```\n")
    (block,) = blocks(path)
    assert not block.is_understood

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from example_result import write_example

from trident.bench import folder
from trident.errors import ConfigurationError


def test_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = write_example(tmp_path / "a")
    assert folder.read(tmp_path / "a") == written
    rows, arrivals = folder.read_rows(tmp_path / "a"), folder.read_arrivals(tmp_path / "a")
    assert len(rows) == sum(point.counts.sent + point.counts.warmup_sent for point in written.points)
    for position, row in enumerate(rows):
        times = arrivals.of(position)
        assert (len(times), times[0], times[-1]) == (row.events, row.first_ns, row.last_ns)
    assert folder.read_scrapes(tmp_path / "a")
    assert not [path for path in (tmp_path / "a").iterdir() if path.name.startswith(".")]


def test_example_is_the_same_each_time(tmp_path: Path) -> None:
    assert write_example(tmp_path / "a") == write_example(tmp_path / "b")
    assert write_example(tmp_path / "c", seed=1).points != folder.read(tmp_path / "a").points


def test_folder_without_requests_is_written_and_read(tmp_path: Path) -> None:
    result = write_example(tmp_path / "a")
    folder.write(tmp_path / "b", result, [], folder.Arrivals.join([]), [])
    assert folder.read_rows(tmp_path / "b") == []
    assert len(folder.read_arrivals(tmp_path / "b").arrival_ns) == 0


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema_version": 99}', b'{"schema_version": 1}'])
def test_what_is_no_result_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / folder.RESULT).write_bytes(content)
    with pytest.raises(ConfigurationError):
        folder.read(tmp_path)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no result of trident bench"):
        folder.read(tmp_path / "nothing")


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    result = write_example(tmp_path)
    before = (tmp_path / folder.REQUESTS).read_bytes()
    with pytest.raises(AttributeError):
        folder.write(tmp_path, result, [None], folder.Arrivals.join([np.zeros(1, np.int64)]), [])  # type: ignore[list-item]
    assert (tmp_path / folder.REQUESTS).read_bytes() == before

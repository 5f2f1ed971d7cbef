from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from example_result import write_example

from trident.cli.bench_compare import REGRESSION_EXIT_CODE
from trident.cli.main import main


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    write_example(tmp_path / "a", concurrencies=(4,), error_share=0.0)
    write_example(tmp_path / "b", concurrencies=(4,), error_share=0.0, seed=1, slowdown=1.2)
    return str(tmp_path / "a"), str(tmp_path / "b")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    return int(ended.value.code or 0)


def test_compare_prints_a_verdict_on_each_figure(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare", *folders) == 0
    rows = {line[:12].strip(): line.split() for line in capsys.readouterr().out.splitlines()}
    assert rows["TPOT p50 ms"][3] == "worse"
    assert rows["TTFT p50 ms"][3] == "noise"


def test_compare_fails_on_a_regression_when_asked(folders: tuple[str, str]) -> None:
    assert run("compare", *folders, "--fail-on-regression") == REGRESSION_EXIT_CODE
    assert run("compare", *reversed(folders), "--fail-on-regression") == 0
    assert run("compare", *folders, "--noise", "0.9", "--fail-on-regression") == 0


def test_compare_writes_json_and_a_page(
    folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "compare.html"
    assert run("compare", *folders, "--json", "--html", str(page)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["levels"][0]["load"] == "concurrency 4"
    assert {one["verdict"] for one in found["levels"][0]["differences"]} >= {"worse", "noise"}
    assert "became worse" in page.read_text(encoding="utf-8")


def test_compare_of_what_is_no_result_says_so_in_three_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", str(tmp_path), str(tmp_path)) == 3
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_report_names_the_files_that_it_wrote(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", *folders) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line).name for line in lines] == ["report.html", "report.html"]
    assert run("report", folders[0], "--png") == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert all(file.exists() for file in files)
    assert {file.suffix for file in files} == {".html", ".png"}

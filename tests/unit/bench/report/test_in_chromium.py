"""The report in a real browser without a network. Skipped where Debian's chromium and chromium-driver are missing."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from example_result import write_example

from trident.bench import recorded, report
from trident.bench.compare import compare, page

TOOL = runpy.run_path(str(Path(__file__).parents[4] / "tools" / "chromium.py"))
pytestmark = pytest.mark.skipif(TOOL["missing"]() is not None, reason=str(TOOL["missing"]()))
BOXES = """
document.querySelectorAll('details').forEach(each => { each.open = true; });
return [...document.querySelectorAll('svg')].map(each => {
  const box = each.getBoundingClientRect(), frame = each.getBBox();
  const marks = [...each.querySelectorAll('path, circle, rect:not(.surface)')].map(mark => mark.getBBox());
  return {id: each.parentNode.id, width: box.width, height: box.height, inner: frame.width,
          marks: marks.filter(mark => mark.width + mark.height > 0).length,
          fill: getComputedStyle(each.querySelector('.surface')).fill};
});
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with TOOL["browser"]() as opened:
        yield opened


@pytest.mark.parametrize("concurrencies", [(1, 4, 16), (8,)], ids=["sweep", "single level"])
@pytest.mark.parametrize(("width", "dark"), [(1180, False), (360, True)], ids=["desk, light", "phone, dark"])
def test_report_is_drawn_without_an_error(
    tmp_path: Path, browser: Any, concurrencies: tuple[int, ...], width: int, dark: bool
) -> None:
    write_example(tmp_path, concurrencies=concurrencies)
    target = report.write(tmp_path)
    browser.look(width=width, height=900, dark=dark)
    browser.open(target)
    boxes = browser.run(BOXES)
    assert len(boxes) == target.read_text(encoding="utf-8").count("<svg")
    for box in boxes:
        assert box["width"] > 250, box
        assert box["height"] > 150, box
        assert box["marks"] > 0, box
        assert box["fill"] == ("rgb(23, 28, 34)" if dark else "rgb(255, 255, 255)")
    assert browser.run("return document.documentElement.scrollWidth") <= width, "nothing makes the page itself scroll"
    assert browser.console() == []


def test_console_would_show_what_the_policy_stops(tmp_path: Path, browser: Any) -> None:
    write_example(tmp_path, concurrencies=(1,), requests=20)
    target = report.write(tmp_path)
    spoiled = target.read_text(encoding="utf-8").replace("<main>", '<main><img src="http://192.0.2.1/a.png">')
    target.write_text(spoiled, encoding="utf-8")
    browser.open(target)
    assert any("Content Security Policy" in line for line in browser.console())


def test_comparison_is_drawn_without_an_error(tmp_path: Path, browser: Any) -> None:
    for name, slowdown in (("a", 1.0), ("b", 1.2)):
        write_example(tmp_path / name, slowdown=slowdown)
    found = compare(recorded.load(tmp_path / "a"), recorded.load(tmp_path / "b"))
    target = tmp_path / "compare.html"
    target.write_text(page.html(found), encoding="utf-8")
    browser.look(width=1180, height=900)
    browser.open(target)
    boxes = browser.run(BOXES)
    assert len(boxes) == 3
    assert all(box["width"] > 250 and box["marks"] > 0 for box in boxes)
    assert browser.console() == []

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from example_result import write_example

from trident.bench import report
from trident.bench.report import png
from trident.bench.report.plots.histogram import histogram

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_every_plot_of_the_report_becomes_a_picture(tmp_path: Path) -> None:
    write_example(tmp_path, concurrencies=(8,), requests=40)
    files = report.write_pictures(tmp_path)
    text = report.write(tmp_path).read_text(encoding="utf-8")
    assert len(files) == text.count("<svg")
    for file in files:
        content = file.read_bytes()
        assert content.startswith(SIGNATURE)
        assert struct.unpack(">II", content[16:24]) == (960, 600)


def test_picture_has_letters_without_a_font_of_the_system() -> None:
    from resvg_py import svg_to_bytes

    plot = histogram("k", "", np.arange(1.0, 100), "ms", {})
    named = histogram("k", "Time to first token µs ≤", np.arange(1.0, 100), "ms", {})
    fonts = [str(font) for font in png.FONTS.glob("*.ttf")]
    assert len(fonts) == 2
    pictures = [
        bytes(svg_to_bytes(svg_string=png.alone(one), skip_system_fonts=True, font_files=fonts,
                           sans_serif_family="DejaVu Sans"))
        for one in (plot, named)
    ]  # fmt: skip
    assert len(pictures[1]) > len(pictures[0]) + 1000


def test_picture_knows_its_colours() -> None:
    text = png.alone(histogram("k", "TTFT", np.arange(1.0, 100), "ms", {}))
    assert "var(" not in text
    assert "#0b62a8" in text

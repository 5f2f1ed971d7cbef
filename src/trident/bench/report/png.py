"""Plots as PNG files, by resvg.

resvg draws no text without a font, and a server often has none, so DejaVu Sans comes along (reduced to Latin). Fonts
of the system fill in what it lacks, as Chinese in a model's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from trident.bench.report import markup, theme
from trident.bench.report.frame import WIDTH, Plot

FONTS = Path(__file__).parent / "fonts"
PIXELS = 2 * WIDTH
"""Width of a picture: twice the plot's own units stays sharp where a page is magnified."""


def write(folder: Path, plots: Sequence[Plot]) -> list[Path]:
    """``<key>.png`` of each plot in ``folder``, which is made where it is missing. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for plot in plots:
        file = folder / f"{plot.key}.png"
        file.write_bytes(picture(plot))
        files.append(file)
    return files


def picture(plot: Plot) -> bytes:
    """One PNG, in the light colours."""
    from resvg_py import svg_to_bytes

    return bytes(
        svg_to_bytes(
            svg_string=alone(plot),
            width=PIXELS,
            font_files=[str(font) for font in sorted(FONTS.glob("*.ttf"))],
            font_family="DejaVu Sans",
            sans_serif_family="DejaVu Sans",
        )
    )


def alone(plot: Plot) -> str:
    """The plot as an SVG file that needs nothing else: its style is inside, with colours written in."""
    root = ElementTree.fromstring(ElementTree.tostring(plot.drawing))
    style = theme.written_in(theme.PLOT_STYLE, theme.LIGHT)
    namespace = f"{{{markup.SVG_NAMESPACE}}}"
    sheet = ElementTree.Element(f"{namespace}style")
    sheet.text = style
    root.insert(0, sheet)
    ElementTree.register_namespace("", markup.SVG_NAMESPACE)
    return markup.svg(root)

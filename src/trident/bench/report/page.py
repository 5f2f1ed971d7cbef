"""The frame of a page and the pieces it is put together from. No script, and a policy that lets nothing be fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from trident.bench.report import markup, theme
from trident.bench.report.frame import Plot, Table
from trident.bench.report.markup import Element, append, element

Tone = Literal["good", "bad", "warn", "plain"]
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, parts: Iterable[Element | None]) -> str:
    """A whole HTML page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", theme.PAGE_STYLE + theme.PLOT_STYLE),
    )
    return markup.html(element("html", head, element("body", element("main", *parts)), lang="en"))


def section(title: str, *parts: Element | None) -> Element:
    """A part of the page under a heading."""
    return element("section", element("h2", title), *parts)


def verdict(tone: Tone, title: str, text: str, reasons: Sequence[str] = ()) -> Element:
    """A judgement in colour and in words."""
    listed = element("ul", *(element("li", reason) for reason in reasons)) if reasons else None
    return element("div", element("b", title), text, listed, class_=f"verdict {tone}", role="note")


def figures(plots: Sequence[Plot], *beside: Element) -> Element:
    """Plots side by side where there is room, each with its figures below; then what else belongs there."""
    return element("div", *(_figure(plot) for plot in plots), *beside, class_="plots")


def _figure(plot: Plot) -> Element:
    caption = element("figcaption", plot.note) if plot.note else None
    shown = None
    if plot.table.rows:
        shown = element("details", element("summary", "Figures"), table(plot.table))
    return element("figure", plot.drawing, caption, shown, id=plot.key)


def table(content: Table, *, tones: dict[tuple[int, int], Tone] | None = None, words: bool = False) -> Element:
    """``tones`` colours cells by (row, column); ``words`` is for text rather than numbers."""
    head = element("tr", *(element("th", header, scope="col") for header in content.headers))
    rows = [
        element("tr", *(element("td", cell, class_=(tones or {}).get((at, column))) for column, cell in enumerate(row)))
        for at, row in enumerate(content.rows)
    ]
    made = element("table", element("thead", head), element("tbody", *rows), class_="words" if words else None)
    return element("div", made, class_="scroll", tabindex="0")


def card(*parts: Element | None) -> Element:
    """A box on the page's ground."""
    return element("div", *parts, class_="card")


def terms(pairs: Iterable[tuple[str, str | Element]]) -> Element:
    """Names and what they mean."""
    found = element("dl")
    for name, text in pairs:
        append(found, element("dt", name))
        append(found, element("dd", text))
    return found

"""Colours and type of plots, in one place: the page takes them as CSS variables with a dark variant, a PNG takes the
light ones written in.

Six colours for things of different kind, which people with the usual forms of colour blindness can tell apart
(after Okabe and Ito, darkened or lightened for contrast), and six shades of one for things in an order, as the loads
of a sweep.
"""

from __future__ import annotations

import re

LIGHT = {
    "page": "#f6f7f9", "surface": "#ffffff", "ink": "#1c2126", "muted": "#5a6370", "grid": "#e6e9ed",
    "axis": "#9aa3ad", "shade": "#f1f4f8", "good": "#1a7f4b", "bad": "#b3261e", "warn": "#8a5a00",
    "c0": "#0b62a8", "c1": "#c25400", "c2": "#00805e", "c3": "#8a4f9e", "c4": "#a67400", "c5": "#5c6670",
    "q0": "#9cc4e8", "q1": "#6aa5da", "q2": "#3c85c4", "q3": "#1b66a8", "q4": "#0b4a80", "q5": "#062c4f",
}  # fmt: skip
DARK = {
    "page": "#0f1317", "surface": "#171c22", "ink": "#e4e8ec", "muted": "#98a3ae", "grid": "#29313a",
    "axis": "#566270", "shade": "#1d242c", "good": "#56c78d", "bad": "#f2827a", "warn": "#e0b050",
    "c0": "#63b0f2", "c1": "#f59552", "c2": "#3fc79c", "c3": "#c795dc", "c4": "#e3b93c", "c5": "#a5afb9",
    "q0": "#24517a", "q1": "#2f6ea6", "q2": "#4289c7", "q3": "#67a8df", "q4": "#98c7ef", "q5": "#d0e6fa",
}  # fmt: skip
SERIES = 6
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

PLOT_STYLE = (
    """
.plot text { font-family: FONT; font-size: 12px; fill: var(--muted); }
.plot .title { font-size: 14px; font-weight: 600; fill: var(--ink); }
.plot .strong { fill: var(--ink); }
.plot .grid { stroke: var(--grid); stroke-width: 1; }
.plot .axis { stroke: var(--axis); stroke-width: 1; }
.plot .surface { fill: var(--surface); }
.plot .shade { fill: var(--shade); }
.plot .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.plot .whisker { stroke-width: 1.25; opacity: 0.7; }
.plot .dashed { stroke-dasharray: 5 4; }
.plot .faint { opacity: 0.25; }
.plot .limit { stroke: var(--bad); stroke-width: 1.25; stroke-dasharray: 2 3; }
""".replace("FONT", FONT)
    + "".join(
        f".plot .{name} {{ stroke: var(--{name}); }}\n.plot .fill-{name} {{ fill: var(--{name}); }}\n"
        for name in (*(f"c{index}" for index in range(SERIES)), *(f"q{index}" for index in range(SERIES)), "bad")
    )
)


def variables(palette: dict[str, str]) -> str:
    """The palette as CSS variables."""
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())


def written_in(style: str, palette: dict[str, str]) -> str:
    """``style`` with colours instead of variables, for what does not know variables."""
    return re.sub(r"var\(--(\w+)\)", lambda match: palette[match[1]], style)


PAGE_STYLE = (
    """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 FONT; }
main { max-width: 1240px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 22px; line-height: 1.25; margin: 8px 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 34px 0 10px; }
p { margin: 6px 0; max-width: 78ch; overflow-wrap: anywhere; }
.muted, figcaption, .note { color: var(--muted); font-size: 13px; }
.verdict { border-left: 4px solid var(--axis); background: var(--surface); padding: 8px 12px; margin: 10px 0;
  border-radius: 0 4px 4px 0; }
.verdict.good { border-color: var(--good); } .verdict.bad { border-color: var(--bad); }
.verdict.warn { border-color: var(--warn); }
.verdict b { margin-right: 6px; } .good > b, td.good { color: var(--good); }
.bad > b, td.bad { color: var(--bad); } .warn > b, td.warn { color: var(--warn); }
.verdict ul { margin: 4px 0 0; padding-left: 20px; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 14px; }
.plots > * { min-width: 0; }
figure { margin: 0; background: var(--surface); border: 1px solid var(--grid); border-radius: 6px; padding: 10px;
  min-width: 0; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { margin-top: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 7px; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { color: var(--muted); font-weight: 600; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
.words td { white-space: normal; vertical-align: top; overflow-wrap: anywhere; }
.words td:first-child { white-space: nowrap; }
.card { background: var(--surface); border: 1px solid var(--grid); border-radius: 6px; padding: 6px 10px; }
summary { cursor: pointer; color: var(--muted); font-size: 13px; padding: 4px 0; }
.level > summary { color: var(--ink); font-size: 16px; font-weight: 600; padding: 8px 0; }
dl { display: grid; grid-template-columns: minmax(120px, max-content) 1fr; gap: 6px 16px; font-size: 13px; }
dt { font-weight: 600; } dd { margin: 0; color: var(--muted); overflow-wrap: anywhere; }
code { font: 12px/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }
@media (max-width: 560px) { dl { grid-template-columns: 1fr; gap: 2px; } dd { margin-bottom: 8px; } }
@media print { .level:not([open]) > * { display: block; } body { background: #fff; } }
""".replace("FONT", FONT)
    .replace("LIGHT", variables(LIGHT))
    .replace("DARK", variables(DARK))
)

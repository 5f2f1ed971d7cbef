"""What all plots share: size, title, axes with grid, legend, and the plot with its figures as the result.

A plot is 480 by 300 units. On a phone it is drawn at three quarters of that, where 12 units are still readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trident.bench.report import numbers
from trident.bench.report.markup import SVG_NAMESPACE, Element, element
from trident.bench.report.scale import Scale

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, BOTTOM = 58, 14, 42
TITLE_Y, LEGEND_Y, LEGEND_LINE = 18, 40, 16
LETTER = 6.7
"""Pixels that a letter of 12 px takes, on average and rather too much: there is no way to measure text here."""


@dataclass(frozen=True)
class Table:
    """The figures of a plot, as text."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plot:
    """A drawing, and the same in figures. ``key`` is its file's name and its anchor; ``note`` stands below it."""

    key: str
    title: str
    drawing: Element
    table: Table
    note: str = ""


@dataclass(frozen=True)
class Key:
    """One entry of a legend; ``style`` is a colour of the theme, ``c0`` or ``q3``."""

    name: str
    style: str
    is_dashed: bool = False
    is_area: bool = False


@dataclass
class Frame:
    """An empty plot: make scales with its edges, then draw axes, then marks into ``root``."""

    key: str
    title: str
    description: str
    legend: Sequence[Key] = ()
    left: float = LEFT
    root: Element = field(init=False)
    top: float = field(init=False)

    right = WIDTH - RIGHT
    bottom = HEIGHT - BOTTOM

    def __post_init__(self) -> None:
        names = f"{self.key}-title {self.key}-description"
        self.root = element(
            "svg",
            element("title", self.title, id=f"{self.key}-title"),
            element("desc", self.description, id=f"{self.key}-description"),
            element("rect", class_="surface", width=WIDTH, height=HEIGHT),
            element("text", self.title, class_="title", x=LEFT - 46, y=TITLE_Y),
            xmlns=SVG_NAMESPACE,
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            class_="plot",
            role="img",
            aria_labelledby=names,
        )
        self.top = self._draw_legend() + 14

    def axes(self, x: Scale, y: Scale, x_label: str, y_label: str) -> None:
        """Grid, ticks and labels. The label of y stands level at the top, where it can be read."""
        for value in y.ticks:
            at = y(value)
            self.line("grid", self.left, at, self.right, at)
            self.text(numbers.tick(value), self.left - 6, at + 4, "end")
        for value in x.ticks:
            at = x(value)
            self.line("axis", at, self.bottom, at, self.bottom + 4)
            self.text(numbers.tick(value), at, self.bottom + 18, "middle")
        self.line("axis", self.left, self.bottom, self.right, self.bottom)
        self.text(x_label, (self.left + self.right) / 2, HEIGHT - 8, "middle")
        self.text(y_label, WIDTH - RIGHT, TITLE_Y, "end")

    def line(self, style: str, x1: float, y1: float, x2: float, y2: float) -> None:
        """A straight line."""
        self.root.append(element("line", class_=style, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2)))

    def text(self, text: str, x: float, y: float, anchor: str = "start", style: str | None = None) -> None:
        """One line of text."""
        self.root.append(element("text", text, class_=style, x=float(x), y=float(y), text_anchor=anchor))

    def path(self, points: Sequence[tuple[float, float]], style: str, *, is_dashed: bool = False) -> None:
        """A line through ``points``, in pixels."""
        if len(points) > 1:
            data = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            self.root.append(element("path", class_=f"line {style}{' dashed' if is_dashed else ''}", d=data))

    def dot(self, x: float, y: float, style: str, tooltip: str) -> None:
        """A mark that tells its value when the pointer rests on it."""
        self.root.append(
            element("circle", element("title", tooltip), class_=f"fill-{style}", cx=float(x), cy=float(y), r=3.2)
        )

    def bar(self, x1: float, y1: float, x2: float, y2: float, style: str, tooltip: str | None = None) -> None:
        """A filled box between two corners."""
        self.root.append(
            element(
                "rect",
                element("title", tooltip) if tooltip else None,
                class_=style,
                x=float(min(x1, x2)),
                y=float(min(y1, y2)),
                width=float(abs(x2 - x1)),
                height=float(abs(y2 - y1)),
            )
        )

    def nothing(self, why: str) -> None:
        """A plot without data says so instead of looking broken."""
        self.text(why, (self.left + self.right) / 2, (self.top + self.bottom) / 2, "middle", "strong")

    def _draw_legend(self) -> float:
        """Returns the y of its last line."""
        x, y = float(LEFT - 46), float(LEGEND_Y if self.legend else TITLE_Y + 6)
        for key in self.legend:
            width = 26 + LETTER * len(key.name) + 12
            if x + width > WIDTH and x > LEFT - 46:
                x, y = float(LEFT - 46), y + LEGEND_LINE
            if key.is_area:
                self.bar(x, y - 9, x + 18, y + 1, f"fill-{key.style}")
            else:
                self.path([(x, y - 4), (x + 18, y - 4)], key.style, is_dashed=key.is_dashed)
            self.text(key.name, x + 24, y)
            x += width
        return y

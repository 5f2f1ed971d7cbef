"""Elements of HTML and SVG. Text and attributes are escaped when the tree is written, so none can be forgotten."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

Element = ElementTree.Element
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(tag: str, *children: Element | str | None, **attributes: Any) -> Element:
    """An element with its children in order; None is left out. ``class_`` and ``text_anchor`` are the attributes
    ``class`` and ``text-anchor``; floats are written with two decimals, which is 1/100 of a pixel."""
    made = Element(tag, {_name(key): _value(value) for key, value in attributes.items() if value is not None})
    for child in children:
        if child is not None:
            append(made, child)
    return made


def append(parent: Element, child: Element | str) -> None:
    """Adds an element, or text after what is there already."""
    if not isinstance(child, str):
        parent.append(child)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + printable(child)
    else:
        parent.text = (parent.text or "") + printable(child)


def printable(text: str) -> str:
    """``text`` without what XML forbids even when escaped: control characters and lone surrogates."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def html(root: Element) -> str:
    """A whole page."""
    return "<!DOCTYPE html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


def svg(root: Element) -> str:
    """A drawing as a file of its own."""
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else printable(str(value))

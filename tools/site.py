"""What ``mkdocs`` is told beside mkdocs.yml: pages that lie outside docs/, and that no page asks another machine.

The pages stay as they are in the repository, where their links lead too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples.md",
}
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_ASKED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^\s\">]+")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages of OUTSIDE."""
    for source, page in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if not text.startswith("# "):
            text = f"# {Path(page).stem.capitalize()}\n\n{text}"
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files of the repository lead to their page here, or are text."""
    came_from = {there: here for here, there in OUTSIDE.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    folder = (ROOT / came_from).parent

    def changed(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if "://" in target:
            return found[0]
        meant = (folder / target).resolve().relative_to(ROOT)
        depth = "../" * page.file.src_uri.count("/")
        if str(meant) in OUTSIDE:
            return f"]({depth}{OUTSIDE[str(meant)]}{anchor})"
        if meant.parts[0] == "docs":
            return f"]({depth}{meant.relative_to('docs')}{anchor})"
        return f"](nowhere:{meant})"

    linked = _LINK.sub(changed, markdown)
    return re.sub(r"\[([^\]]*)\]\(nowhere:([^)]*)\)", r"\1 (`\2`)", linked)


def on_post_build(config: Any) -> None:
    """Raises PluginError when a page would load something from elsewhere."""
    for page in Path(config.site_dir).rglob("*.html"):
        if asked := _ASKED.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page} asks another machine: {asked[0]}")

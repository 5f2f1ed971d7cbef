"""Where the user's pip is told to look for packages, said again in uv's words.

uv does not read pip's configuration, so a machine behind a mirror works with pip and fails with uv. Everything is
passed in ``UV_*`` variables rather than on the command line, where an address with a password would show in ``ps``.
What the user has set for uv itself always wins.

Standard library only, and runnable as a script: the Makefile needs it before anything is installed
(``eval "$(python -I pip_config.py)"``).
"""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

KEYS = ("index-url", "extra-index-url", "find-links", "no-index", "cert")


def read(environ: Mapping[str, str], files: list[Path] | None = None) -> dict[str, str]:
    """pip's settings among ``KEYS``, by pip's own order: site files, user files, environment; ``[install]`` over
    ``[global]``. A later source replaces an earlier one. Unreadable files count as absent."""
    settings: dict[tuple[str, str], str] = {}
    for path in _config_files(environ) if files is None else files:
        for section, key, value in _parse(path):
            settings[section, key] = value
    merged: dict[str, str] = {}
    for section in ("global", "install"):
        merged.update({key: value for (of, key), value in settings.items() if of == section})
    for key in KEYS:
        if said := environ.get("PIP_" + key.upper().replace("-", "_")):
            merged[key] = said
    return merged


def uv_variables(
    environ: Mapping[str, str], files: list[Path] | None = None, *, extra_indexes: bool = False
) -> dict[str, str]:
    """The ``UV_*`` variables to add to ``environ`` so that uv looks where pip looks; empty when pip is unconfigured.

    Local folders and ``file://`` indexes that do not exist are left out: pip passes over them, uv would fail. Extra
    indexes are for what the registry lacks (``extra_indexes``): uv takes a version from one index only, so a partial
    mirror of a package would hide the registry's other files of that version, which the hashes name.
    """
    settings = read(environ, files)
    wanted: dict[str, str] = {}
    if links := _existing(settings.get("find-links", "")):
        wanted["UV_FIND_LINKS"] = ",".join(links)
    if extra_indexes and (extra := _existing(settings.get("extra-index-url", ""))):
        wanted["UV_EXTRA_INDEX_URL"] = " ".join(extra)
        # pip takes the best match of all indexes, uv by default the first index that knows the name.
        wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if index := _existing(settings.get("index-url", "")):
        wanted["UV_DEFAULT_INDEX"] = index[0]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        wanted["UV_NO_INDEX"] = "1"
    if (cert := settings.get("cert", "")) and Path(cert).is_file():
        wanted["SSL_CERT_FILE"] = cert
    return {name: value for name, value in wanted.items() if not _set_for_uv(name, environ)}


def _set_for_uv(name: str, environ: Mapping[str, str]) -> bool:
    older_names = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_EXTRA_INDEX_URL": "UV_INDEX"}
    return name in environ or older_names.get(name, name) in environ


def _existing(value: str) -> list[str]:
    kept = []
    for entry in value.split():
        parts = urlsplit(entry)
        if parts.scheme == "file":
            if Path(unquote(parts.path)).exists():
                kept.append(entry)
        elif parts.scheme:
            kept.append(entry)
        elif (path := Path(entry).expanduser()).exists():
            kept.append(str(path.absolute()))
    return kept


def _config_files(environ: Mapping[str, str]) -> list[Path]:
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    system = [Path(folder) / "pip" / "pip.conf" for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [
        *reversed(system),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        user / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]
    return [*files, Path(named)] if named else files


def _parse(path: Path) -> Iterator[tuple[str, str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text())
    except (OSError, UnicodeDecodeError, configparser.Error):
        return
    for section in ("global", "install"):
        if parser.has_section(section):
            for name, value in parser.items(section):
                key = name.lower().replace("_", "-").removeprefix("--")
                if key in KEYS:
                    yield section, key, value


def main() -> None:
    for name, value in uv_variables(os.environ).items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


if __name__ == "__main__":
    main()

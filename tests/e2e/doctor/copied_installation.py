"""A copy of the installation that these tests run in: Trident's environment, vLLM's, Triton's backend folder, a model,
a configuration. It takes a second or two and next to no room, as files are linked.

The original is never changed: nothing here writes into a file that is there, it puts another one in its place, and
what was taken away comes back at ``heal``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from layout import Layout
from served import free_ports

from trident.config.paths import data_dir
from trident.models.resolve import DEMO_FOLDER
from trident.runtime.control_env import triton_install
from trident.runtime.engine_env import engine_env

COMMAND_TIMEOUT_S = 110.0


@dataclass
class CopiedInstallation(Layout):
    """``prefix`` are the words before each command: limits and namespaces of a fault."""

    engine_name: str
    prefix: list[str] = field(default_factory=list)
    healing: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def make(cls, root: Path) -> CopiedInstallation:
        """A healthy one in ``root``, which exists and is empty."""
        installed = engine_env("auto", data_dir())
        assert installed is not None, "run make setup: there is no engine environment to copy"
        made = cls(root, free_ports(4), installed.path.name)
        link_tree(Path(sys.prefix), made.control)
        made.engine.parent.mkdir(parents=True)
        link_tree(installed.path, made.engine)
        triton_install(made.data_dir)
        shutil.copytree(DEMO_FOLDER, made.model)
        made.configure()
        return made

    @property
    def control(self) -> Path:
        """Trident's own environment."""
        return self.root / "control"

    @property
    def control_site(self) -> Path:
        return next(self.control.glob("lib/python3.*/site-packages"))

    @property
    def engine(self) -> Path:
        """vLLM's environment."""
        return self.data_dir / "engines" / self.engine_name

    @property
    def engine_site(self) -> Path:
        return next(self.engine.glob("lib/python3.*/site-packages"))

    def trident(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the copy."""
        return self.python("-m", "trident", *arguments)

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The copy's own Python."""
        return subprocess.run(
            [*self.prefix, str(self.control / "bin" / "python"), *words],
            cwd=self.root,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=COMMAND_TIMEOUT_S,
        )

    def _environ(self) -> dict[str, str]:
        # What would lead the copy's programs out of it, or leave something in it.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRIDENT_", "PYTHON", "VIRTUAL_ENV"))}
        places = {"TRIDENT_DATA_DIR": str(self.data_dir), "TRIDENT_STATE_DIR": str(self.state_dir)}
        return {**kept, **places, "PYTHONDONTWRITEBYTECODE": "1"}

    def take_away(self, path: Path) -> Path:
        """Removes a file or folder until ``heal``; returns where it is meanwhile."""
        aside = path.with_name(f".{path.name}.aside")
        path.rename(aside)
        self.healing.callback(_put_back, aside, path)
        return aside

    def cut(self, file: Path, size_bytes: int) -> None:
        """Leaves the first bytes of a file."""
        with self.take_away(file).open("rb") as whole:
            file.write_bytes(whole.read(size_bytes))

    def write(self, file: Path, text: str) -> None:
        """Other contents for a file."""
        self.take_away(file)
        file.write_text(text)

    def point(self, link: Path, target: Path) -> None:
        """A symbolic link in the place of a file or link."""
        self.take_away(link)
        link.symlink_to(target)

    def change_mode(self, file: Path, mode: int) -> None:
        """Other rights, for a file of its own: linked ones share theirs with the original."""
        shutil.copy2(self.take_away(file), file)
        file.chmod(mode)

    def heal(self) -> None:
        """As it was made."""
        self.healing.close()
        self.prefix = []
        self.configure()
        for left in (self.state_dir, *self.root.glob("keys*")):
            _delete(left)


def _put_back(aside: Path, path: Path) -> None:
    _delete(path)
    aside.rename(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_tree(source: Path, target: Path) -> None:
    """Hard links, on another disk symbolic ones."""
    for option in ("-al", "-as"):
        if subprocess.run(["cp", option, str(source), str(target)], capture_output=True).returncode == 0:
            return
        shutil.rmtree(target, ignore_errors=True)
    raise AssertionError(f"{source} could not be linked to {target}")

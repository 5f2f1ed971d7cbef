"""The unit file of a server. The settings are described in systemd.service(5), systemd.exec(5), systemd.kill(5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trident.config.models import Config
from trident.errors import CannotStart

OPEN_FILES = 65_536
RESTART_DELAY_S = 5
STARTS_AT_MOST = 5
WITHIN_S = 600
EXTRA_TIME_S = 30
"""Beyond what the supervisor gives its children to end."""


@dataclass(frozen=True)
class Unit:
    """``words`` is the command, ``user`` the account of a machine's service (None: that of the user's own manager)."""

    config: Config
    words: Sequence[str]
    folder: Path
    variables: Mapping[str, str]
    user: str | None = None

    @property
    def name(self) -> str:
        """As systemctl knows it."""
        return f"trident-{self.config.name}.service"

    def text(self) -> str:
        """The file. Its journal has what ``trident serve`` prints; the children's logs stay in the run directory."""
        supervision = self.config.supervision
        stop_s = math.ceil(supervision.drain_s + supervision.stop_timeout_s + EXTRA_TIME_S)
        lines = [
            "# Written by `trident service install`; install again to change it.",
            "[Unit]",
            f"Description=Trident server {self.config.name}",
            "After=network-online.target nvidia-persistenced.service",
            "Wants=network-online.target",
            f"StartLimitIntervalSec={WITHIN_S}",
            f"StartLimitBurst={STARTS_AT_MOST}",
            "",
            "[Service]",
            "Type=exec",
            *([f"User={self.user}"] if self.user else []),
            f"WorkingDirectory={_escaped(str(self.folder))}",
            *(f"Environment={quoted(f'{name}={value}')}" for name, value in self.variables.items()),
            f"ExecStart={' '.join(map(quoted, self.words))}",
            f"ExecReload={' '.join(map(quoted, [*self.words[:3], 'reload', '--name', self.config.name]))}",
            "Restart=on-failure",
            f"RestartSec={RESTART_DELAY_S}",
            # What cannot start stays so until somebody changes something.
            f"RestartPreventExitStatus={CannotStart.exit_code}",
            # The supervisor ends its children in order; only what is left after that is killed.
            "KillMode=mixed",
            f"TimeoutStopSec={stop_s}",
            f"LimitNOFILE={OPEN_FILES}",
            *(["LimitMEMLOCK=infinity"] if self.user else []),
            "OOMPolicy=continue",
            "UMask=0077",
            "SyslogIdentifier=trident",
            *(["NoNewPrivileges=yes", "ProtectSystem=full", "PrivateTmp=no"] if self.user else []),
            "",
            "[Install]",
            f"WantedBy={'multi-user.target' if self.user else 'default.target'}",
        ]
        return "\n".join(lines) + "\n"


def quoted(word: str) -> str:
    """A word of a command line in a unit file: quotes, specifiers (%) and variables ($) mean themselves."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%").replace("$", "$$")
    return f'"{word}"'


def _escaped(path: str) -> str:
    return path.replace("%", "%%")

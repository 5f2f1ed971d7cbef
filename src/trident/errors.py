"""Every error that Trident shows to a user.

TridentError                      exit code 1
├── CannotStart                   exit code 3: trying again without a change is useless; never restarted
│   ├── ConfigurationError        a flag, variable or file says something that cannot be meant
│   ├── EnvironmentBroken         Python, libpython, disk, registry, an installation
│   ├── ModelNotFound             the name leads to no model
│   ├── ModelUnusable             the model is there and cannot be served
│   ├── PortBusy                  somebody else listens there
│   ├── AlreadyRunning            a server of this name runs
│   └── EngineStartFailed         vLLM or Triton refused to start
├── NotRunning                    exit code 4: there is no server to talk to
├── ServerFailed                  exit code 5: a server that was running has died
├── RequestFailed                 exit code 6: a server refused one request
└── ClientBound                   exit code 7: a load test measured its own client instead of the server

An error says three things in three lines: what happened, why, and what to do next. Code raises them with all
three; only ``trident.cli`` prints them.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class TridentError(Exception):
    """Something a user must know, with the reason and the next step."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, why: str, next_step: str, *, log_path: Path | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step
        self.log_path = log_path

    def lines(self) -> list[str]:
        """The three lines shown to the user; the log's path, when known, ends the last one."""
        log = f" (log: {self.log_path})" if self.log_path else ""
        return [self.what, f"  why:  {self.why}", f"  next: {self.next_step}{log}"]

    def __str__(self) -> str:
        return "\n".join(self.lines())


class CannotStart(TridentError):
    """Starting is impossible until something is changed."""

    exit_code = 3


class ConfigurationError(CannotStart):
    """The configuration contradicts itself, vLLM or the machine."""


class EnvironmentBroken(CannotStart):
    """The control or engine environment is missing something or cannot be made."""


class ModelNotFound(CannotStart):
    """The model's name leads nowhere."""


class ModelUnusable(CannotStart):
    """The model's files are there but cannot be served."""


class PortBusy(CannotStart):
    """A port that Trident was told to use is taken."""


class AlreadyRunning(CannotStart):
    """A server with this name already runs."""


class EngineStartFailed(CannotStart):
    """A child process could not start; the cause is taken from its own words."""


class NotRunning(TridentError):
    """No server of that name is running."""

    exit_code = 4


class ServerFailed(TridentError):
    """A running server lost a child that it could not bring back."""

    exit_code = 5


class RequestFailed(TridentError):
    """The server answered one request with an error."""

    exit_code = 6


class ClientBound(TridentError):
    """The client of a load test could not keep up, so its figures say nothing about the server."""

    exit_code = 7

"""Who may ask, over what, and how much: docs/security.md says what follows from each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from trident.config.section import Section

MEBIBYTE = 2**20


class Security(Section):
    """Keys, TLS, and what is closed. Keys and TLS put the gateway in front of all doors."""

    api_key: tuple[str, ...] = Field(
        (), description="An API key; repeatable. A command line is seen by everybody on the machine: prefer the file."
    )
    api_key_file: Path | None = Field(
        None,
        description="File of API keys, one a line (# begins a comment); every door wants one of them. It is read again "
        "when it changes.",
    )
    tls_cert: Path | None = Field(None, description="Certificate with its chain, PEM: all doors speak TLS.")
    tls_key: Path | None = Field(None, description="The certificate's private key, PEM, without a password.")
    gateway: bool = Field(False, description="Put the gateway in front of the doors though nothing else asks for it.")
    allow_no_key: bool = Field(False, description="Serve everybody, without keys, where the host is not loopback.")
    open_apis: tuple[Literal["trace", "logging", "shared-memory"], ...] = Field(
        (), description="APIs of Triton that change the server, and are closed: trace, logging, shared-memory."
    )

    @field_validator("api_key", mode="before")
    @classmethod
    def _texts(cls, given: Any) -> Any:
        # A key in a variable is no JSON list, and one of digits only would be read as a number.
        return [str(key) for key in (given if isinstance(given, list | tuple) else [given])]

    @field_validator("api_key_file", "tls_cert", "tls_key")
    @classmethod
    def _absolute(cls, file: Path | None) -> Path | None:
        return file.expanduser().absolute() if file is not None else None

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Security:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        return self

    @property
    def has_tls(self) -> bool:
        """The doors speak TLS."""
        return self.tls_cert is not None


class Limits(Section):
    """The most that one client, or one request, may bring."""

    max_body_bytes: int = Field(
        128 * MEBIBYTE, ge=1024, description="Longest request body, and longest gRPC message; the gateway's."
    )
    max_connections: int = Field(
        4096, ge=8, le=100_000, description="Connections of clients at a time, over all doors; the gateway's."
    )
    max_prompt_bytes: int = Field(
        8 * MEBIBYTE,
        ge=1,
        description="Longest prompt or chat before it is tokenised (KServe); max_model_len comes after.",
    )
    max_n: int = Field(128, ge=1, le=16384, description="Most sequences (n) of one request, at every door.")
    max_schema_bytes: int = Field(
        256 * 1024, ge=1, description="Longest schema, grammar or list of tools of one request, in JSON (KServe)."
    )

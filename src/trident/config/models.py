"""The configuration, declared once: flags, ``TRIDENT_*`` variables, ``trident.toml`` and help follow from it.

Field names are unique over all sections, so that each has one flag (``http_port`` → ``--http-port``) and one variable
(``TRIDENT_HTTP_PORT``). Everything is frozen; unknown keys are errors.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from trident.config import paths
from trident.config.monitor import Monitor
from trident.config.places import Places, behind_the_gateway, local_host, without_gateway
from trident.config.section import Section
from trident.config.security import Limits, Security

Port = Annotated[int, Field(ge=1, le=65535)]
# Numbers that other programs are told: Triton takes no more for a time, no infinity, and INT32 for max_tokens.
Seconds = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
LARGEST_INT32 = 2**31 - 1
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _is_name(text: str) -> str:
    # These become folders: "..", which would leave the run directory, must not pass, nor what looks like an option.
    if not NAME.fullmatch(text):
        raise ValueError("it should be 1 to 100 letters, digits, dots, dashes or underscores, not a dot or dash first")
    return text


ModelName = Annotated[str, AfterValidator(_is_name)]
EngineBuild = Literal["auto", "cpu", "cuda"]
Hub = Literal["auto", "huggingface", "modelscope"]


def is_loopback(host: str) -> bool:
    """Only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Listen(Section):
    """Where the front doors listen."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say otherwise.")
    http_port: Port = Field(8000, description="Triton's KServe HTTP.")
    grpc_port: Port = Field(8001, description="Triton's KServe gRPC.")
    metrics_port: Port = Field(8002, description="Prometheus metrics of Triton and vLLM.")
    openai_port: Port = Field(9000, description="OpenAI-compatible API.")

    @property
    def is_loopback(self) -> bool:
        """Only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def local_host(self) -> str:
        """The address that a client on this machine uses."""
        return local_host(self.host)

    @property
    def url_host(self) -> str:
        """The same as it is written in a URL."""
        return f"[{self.local_host}]" if ":" in self.local_host else self.local_host

    @property
    def ports(self) -> dict[str, int]:
        """Port of each front door by its name."""
        return {
            "KServe HTTP": self.http_port,
            "KServe gRPC": self.grpc_port,
            "Triton metrics": self.metrics_port,
            "OpenAI": self.openai_port,
        }

    @model_validator(mode="after")
    def _ports_differ(self) -> Listen:
        taken: dict[int, str] = {}
        for door, port in self.ports.items():
            if port in taken:
                raise ValueError(f"{taken[port]} and {door} are both on port {port}")
            taken[port] = door
        return self


class Contracts(Section):
    """The Triton models that stand for the one engine, and the defaults of the recipe's."""

    generate_name: ModelName = Field("generate", description="Name of the model with Triton's vLLM backend contract.")
    infer_name: ModelName = Field(
        "generate_infer", description="Name of the model with the same contract for plain infer, which has no streams."
    )
    recipe_name: ModelName = Field("qwen3_vllm", description="Name of the model with the recipe's contract.")
    recipe_max_tokens: int = Field(
        512, ge=1, le=LARGEST_INT32, description="The recipe contract's max_tokens when none is sent."
    )
    recipe_temperature: float = Field(
        0.7, ge=0, allow_inf_nan=False, description="The recipe contract's temperature when none is sent."
    )
    recipe_top_p: float = Field(0.95, gt=0, le=1, description="The recipe contract's top_p.")
    recipe_stop: tuple[str, ...] = Field(
        ("<|endoftext|>", "<|im_end|>"), description="The recipe contract's stop strings."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Contracts:
        taken: dict[str, str] = {}
        for setting in ("generate_name", "infer_name", "recipe_name"):
            name = getattr(self, setting)
            if name in taken:
                raise ValueError(f"{taken[name]} and {setting} are both {name!r}")
            taken[name] = setting
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return self.generate_name, self.infer_name, self.recipe_name


class Stubs(Section):
    """Triton's Python backend processes."""

    stubs: int | None = Field(
        None, ge=1, le=64, description="Processes for each contract; by default one for every four cores, at most 8."
    )
    response_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Largest part of a core that a stub spends on sending responses before it joins tokens; "
        "by default 1 on a GPU, and 0.4 on a CPU, where the model needs the same cores.",
    )

    @property
    def count(self) -> int:
        """How many processes each contract gets."""
        return self.stubs or max(1, min(8, (os.cpu_count() or 1) // 4))


class Admission(Section):
    """What an engine takes on, and what waits in front of it, at the doors of Triton and at the OpenAI door. What is
    beyond is refused with the time after which to try again."""

    max_running_requests: int | None = Field(
        None,
        ge=1,
        description="Sequences in the engine at once; by default what it can run (max_num_seqs of each replica) and a "
        "little more, so that a place that becomes free is taken at once.",
    )
    max_queued_requests: int = Field(
        10_000,
        ge=0,
        description="Requests that may wait; at the OpenAI door, where each holds a connection, at most four for each "
        "that runs.",
    )
    max_queued_tokens: int | None = Field(
        None, ge=1, description="Tokens of the prompts that may wait, four bytes counted as one; by default any number."
    )
    max_queue_wait_s: Seconds = Field(
        60.0,
        description="Longest time that a request waits to be begun with; one that would wait longer is refused as it "
        "comes.",
    )
    max_tpot_s: Seconds | None = Field(
        None,
        description="Longest mean time per output token of requests that run: where more at once would take longer, "
        "fewer run and the others wait (an eighth of max_running_requests runs in any case); not at the OpenAI door. "
        "By default any time.",
    )


class Adapters(Section):
    """LoRA adapters. Those named at the start are vLLM's ``lora_modules``."""

    lora_dir: Path | None = Field(
        None,
        description="Folder of LoRA adapters: each folder in it can be asked for by its name as soon as it is there.",
    )

    @field_validator("lora_dir")
    @classmethod
    def _is_folder(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            raise ValueError("it should be a folder that is there")
        return folder.absolute() if folder is not None else None


class Triton(Section):
    """tritonserver, and the user's own models in it, which are served from where they lie and never written to."""

    model_repository: tuple[str, ...] = Field(
        (),
        description="Folder of Triton models to serve beside MODEL, or alone when no MODEL is given; may be repeated.",
    )
    model_control_mode: Literal["none", "explicit"] = Field(
        "none", description="Whether clients may load and unload models: none (they may not) or explicit."
    )
    load_model: tuple[str, ...] = Field(
        (),
        description="With explicit: a model of the repositories to load at the start (by default all); repeatable.",
    )

    @field_validator("model_repository")
    @classmethod
    def _absolute(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(Path(folder).expanduser().absolute()) for folder in folders)

    @model_validator(mode="after")
    def _names_need_explicit(self) -> Triton:
        if self.load_model and self.model_control_mode != "explicit":
            raise ValueError("load_model needs model_control_mode = explicit; without it every model is loaded")
        return self


class Supervision(Section):
    """How children are started, watched and stopped."""

    start_timeout_s: Seconds = Field(900.0, description="Longest time for the server to become ready.")
    stop_timeout_s: Seconds = Field(30.0, description="Longest time for a child to stop before it is killed.")
    drain_s: float = Field(
        10.0,
        ge=0,
        allow_inf_nan=False,
        description="Longest time that requests in flight get to finish when the server stops or its engine is "
        "exchanged; then they end with an error. 0 ends them at once.",
    )
    heartbeat_s: Seconds = Field(0.25, description="Seconds between two round trips through the engine.")
    heartbeat_timeout_s: Seconds | None = Field(
        None,
        description="An engine that is busy and does not answer a round trip for so long is counted as lost; by "
        "default 5 on a GPU, and 60 on a CPU, where one step may take long. One that does nothing is lost after 4.",
    )
    engine_patience_s: Seconds = Field(
        600.0, description="Longest time that a request waits for its lost engine to come back before it fails."
    )
    max_restarts: int = Field(
        5,
        ge=0,
        description="Restarts of one child within ten minutes before giving up. One that had served for 10 s and "
        "longer than its start took does not count, and what was before is forgiven.",
    )


class Runtime(Section):
    """The machine's side."""

    engine_build: EngineBuild = Field("auto", description="vLLM build: cpu, cuda, or auto from the machine.")
    openai_server: Literal["auto", "rust", "python"] = Field(
        "auto", description="vLLM's OpenAI server: the Rust one, the Python one, or Rust where the build carries it."
    )
    core_cpus: int | None = Field(
        None,
        ge=0,
        le=64,
        description="CPUs that each engine core of MODEL has for itself. By default, on GPUs 2 where it has the "
        "machine's only GPU, or a replica has each of them, and 8 CPUs are there for each; on a CPU all but a physical "
        "core, unless OMP_NUM_THREADS is set, the container has a CPU quota or a repository is served too; else 0: all "
        "share all.",
    )
    offline: bool = Field(False, description="Never touch the network: use what is installed and pulled.")


class Config(Section):
    """All of it. ``engine`` and ``openai`` pass through to vLLM under vLLM's own names."""

    model: str | None = Field(
        "demo",
        description="demo, a folder, a Hugging Face id or a ModelScope id; none when only repositories are served.",
    )
    name: ModelName = Field("default", description="Name of this server, when several run on one machine.")
    hub: Hub = Field("auto", description="Where a model id is looked up; auto tries Hugging Face, then ModelScope.")
    listen: Listen = Listen()
    contracts: Contracts = Contracts()
    stubs: Stubs = Stubs()
    admission: Admission = Admission()
    adapters: Adapters = Adapters()
    security: Security = Security()
    limits: Limits = Limits()
    triton: Triton = Triton()
    supervision: Supervision = Supervision()
    runtime: Runtime = Runtime()
    monitor: Monitor = Monitor()
    engine: dict[str, Any] = Field({}, description="Engine arguments of vLLM, for instance max_model_len = 4096.")
    openai: dict[str, Any] = Field({}, description="Arguments of vLLM's OpenAI server, for instance chat_template.")

    @field_validator("engine", "openai")
    @classmethod
    def _underscores(cls, table: dict[str, Any]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for key, value in table.items():
            name = key.replace("-", "_")
            if name in named:
                raise ValueError(f"{name} is there twice, once with dashes and once with underscores")
            named[name] = value
        return named

    @model_validator(mode="before")
    @classmethod
    def _repositories_alone(cls, values: Any) -> Any:
        if isinstance(values, dict) and "model" not in values:
            triton = values.get("triton")
            if isinstance(triton, dict) and triton.get("model_repository"):
                return {**values, "model": None}
        return values

    @model_validator(mode="after")
    def _engine_arguments_have_a_model(self) -> Config:
        if self.model is None and self.engine:
            names = ", ".join(self.engine)
            raise ValueError(f"{names} cannot be for nothing: there is no MODEL; a repository's are in its model.json")
        if self.model is None and self.runtime.core_cpus:
            raise ValueError("core_cpus cannot be for nothing: there is no MODEL, and it is for the engine of MODEL")
        return self

    @property
    def ports(self) -> dict[str, int]:
        """Port of each front door by its name. Without MODEL the OpenAI doors are those of the repositories' models."""
        return {door: port for door, port in self.listen.ports.items() if self.model is not None or door != "OpenAI"}

    @property
    def own_models(self) -> tuple[str, ...]:
        """Triton's names of the models that stand for MODEL."""
        return self.contracts.names if self.model is not None else ()

    @model_validator(mode="after")
    def _others_need_a_key(self) -> Config:
        open_host = next((host for host in (self.listen.host, self.monitor_host) if not is_loopback(host)), None)
        if open_host is not None and not (self.has_keys or self.security.allow_no_key):
            raise ValueError(
                f"other machines can reach the host {open_host}, and there is no API key; give one with "
                "--api-key-file FILE, or say --allow-no-key"
            )
        return self

    @model_validator(mode="after")
    def _monitor_has_its_own_port(self) -> Config:
        for door, port in self.ports.items() if self.monitor.monitor else ():
            if port == self.monitor.monitor_port:
                raise ValueError(f"{door} and the monitor are both on port {port}")
        return self

    @property
    def monitor_host(self) -> str:
        """Where the monitor listens."""
        return self.listen.host if self.monitor.monitor_host is None else self.monitor.monitor_host

    @property
    def monitor_url(self) -> str:
        """Where a browser on this machine finds it."""
        host = local_host(self.monitor_host)
        return f"{self.url_scheme}://{f'[{host}]' if ':' in host else host}:{self.monitor.monitor_port}"

    @property
    def has_keys(self) -> bool:
        """Every door wants an API key."""
        return self.security.api_key_file is not None or bool(self.api_keys)

    @property
    def api_keys(self) -> list[str]:
        """Those that stand in the configuration itself, under vLLM's name too: all are for all doors."""
        given = self.openai.get("api_key") or ()
        of_vllm = given if isinstance(given, list | tuple) else [given]
        return [*self.security.api_key, *map(str, of_vllm)]

    @property
    def needs_weights(self) -> bool:
        """vLLM makes them up where ``load_format`` is dummy."""
        return self.engine.get("load_format") != "dummy"

    @property
    def has_gateway(self) -> bool:
        """The public ports are the gateway's, and the servers behind listen on unix sockets."""
        security = self.security
        return self.has_keys or security.has_tls or security.gateway or not self.listen.is_loopback

    @property
    def url_scheme(self) -> str:
        """Of the doors' URLs."""
        return "https" if self.security.has_tls else "http"

    @property
    def places(self) -> Places:
        """Where the servers themselves listen: at the doors, or behind the gateway."""
        if self.has_gateway:
            return behind_the_gateway(self.sockets_dir)
        listen = self.listen
        return without_gateway(listen.host, listen.http_port, listen.grpc_port, listen.metrics_port, listen.openai_port)

    @property
    def run_dir(self) -> Path:
        """This server's run directory."""
        return paths.run_dir(self.name)

    @property
    def sockets_dir(self) -> Path:
        """Where this server's unix sockets are."""
        return paths.sockets_dir(self.run_dir)

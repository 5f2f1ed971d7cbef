"""The engine host as the supervisor starts it: specification, arguments, environment. Control side; imports no vLLM."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

from trident.config.models import Config
from trident.models.resolve import ResolvedModel
from trident.protocol import sockets
from trident.protocol.spec import HostSpec, RequestLimits
from trident.runtime import core_cpus
from trident.runtime.core_cpus import Shares
from trident.runtime.engine_env import EngineEnv

HEARTBEAT_TIMEOUT_S = {"cpu": 60.0, "cuda": 5.0}
"""One step of a large prompt may keep a CPU engine busy for long; a GPU's never."""

NO_SHARES = Shares()


def relay_address(config: Config) -> str:
    """Where the engine host listens for stubs."""
    return sockets.address(config.sockets_dir, "relay-0.sock")


def counts_dir(config: Config) -> Path:
    """Where the engine's processes count together (``PROMETHEUS_MULTIPROC_DIR``)."""
    return config.run_dir / "prometheus"


def spec(config: Config, model: ResolvedModel, env: EngineEnv, shares: Shares = NO_SHARES) -> HostSpec:
    """What the engine host is told. ``shares`` are those of the server's first engine: one with another number of
    cores, after a reload, has no CPUs of its own."""
    if len(shares.of_cores) != core_cpus.engine_cores(config):
        shares = NO_SHARES
    supervision, limits, place = config.supervision, config.limits, config.places.openai
    return HostSpec(
        model_path=os.fspath(model.path),
        served_name=model.name,
        engine=config.engine,
        # Keys are the gateway's affair: vLLM would ask for them once more, and at /v1 only.
        openai={name: value for name, value in config.openai.items() if name != "api_key"},
        openai_server=config.runtime.openai_server,
        openai_host=config.listen.host,
        openai_port=config.listen.openai_port,
        openai_socket=place.socket,
        run_dir=os.fspath(config.run_dir),
        relay_address=relay_address(config),
        heartbeat_s=supervision.heartbeat_s,
        heartbeat_timeout_s=supervision.heartbeat_timeout_s or HEARTBEAT_TIMEOUT_S[env.build],
        limits=RequestLimits(max_prompt_bytes=limits.max_prompt_bytes, max_schema_bytes=limits.max_schema_bytes),
        lora_dir=os.fspath(config.adapters.lora_dir) if config.adapters.lora_dir else None,
        histogram_bounds_s=config.monitor.histogram_bounds_s,
        core_cpus=shares.of_cores,
        other_cpus=shares.rest,
        cpu_threads=core_cpus.threads(config, shares) if env.build == "cpu" else 0,
        **config.admission.model_dump(),
    )


def argv(env: EngineEnv, spec_path: Path) -> list[str]:
    """The command line. ``-P``-like safety comes from the environment: nothing of the control env is on its path."""
    return [os.fspath(env.python), "-m", "trident.engine", os.fspath(spec_path)]


def environment(config: Config, env: EngineEnv) -> dict[str, str]:
    """The engine's environment. ``lib`` in the run directory holds nothing but a link to our package, so that the
    engine env sees Trident without seeing the control env's packages."""
    environ = dict(os.environ)
    environ["PYTHONPATH"] = os.fspath(config.run_dir / "lib")
    environ["PATH"] = os.pathsep.join([os.fspath(env.python.parent), environ.get("PATH", os.defpath)])
    # Read when prometheus_client is imported, so it must be there before anything is (measured).
    environ["PROMETHEUS_MULTIPROC_DIR"] = os.fspath(counts_dir(config))
    environ["VLLM_RPC_BASE_PATH"] = os.fspath(config.sockets_dir)
    # vLLM leaves a file of each start in the temporary folder; this one goes when the server stops. What torch compiles
    # is worth keeping and stays where it would be.
    compiled = Path(tempfile.gettempdir()) / f"torchinductor_{_user()}"
    environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.fspath(compiled))
    environ["TMPDIR"] = os.fspath(config.sockets_dir)
    environ["PYTHONUNBUFFERED"] = "1"
    environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # vLLM's own bound of n, for all doors: its default is 16,384, and each is a sequence of the engine.
    environ.setdefault("VLLM_MAX_N_SEQUENCES", str(config.limits.max_n))
    # torch's processes of one engine listen for each other at the address of the host's name, and ask for nothing.
    environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if config.has_gateway:
        environ.pop("VLLM_API_KEY", None)
    if config.runtime.offline or config.model == "demo" or Path(config.model or "").exists():
        environ.setdefault("HF_HUB_OFFLINE", "1")
    return environ


def _user() -> str:
    """A container's user often has a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())

"""How tritonserver is started: its arguments and its environment, each decided in one place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from trident.config.models import Config
from trident.config.places import Place
from trident.protocol import lease
from trident.runtime.control_env import TritonInstall
from trident.triton import tracing

EXIT_TIMEOUT_S = 2
"""For the last answers to leave."""
SHM_REGION_BYTES = 16 * 1024 * 1024


def shm_prefix(config: Config) -> str:
    """All shared memory of this server's stubs begins with it, so that a clean-up touches nobody else's: derived from
    the run directory, which no other server has."""
    return f"trident_{hashlib.sha256(os.fsencode(config.run_dir)).hexdigest()[:12]}_"


STACK_KIB = 262_144
"""Triton 2.51 parses JSON recursively: with the usual 8 MiB of stack a body of 200 KB, nested 100,000 deep, kills it.
This is enough for any body of 1 MB. It is address space for each thread and becomes memory only where it is used."""

# A thread's stack follows the limit that its process began with. Where the system promises no more memory than it has
# (overcommit 2), or the hard limit is lower, the usual stack stays.
DEEPEN_STACK = (
    f'read -r overcommit </proc/sys/vm/overcommit_memory; [ "$overcommit" = 2 ] || ulimit -s {STACK_KIB} 2>/dev/null'
)
_WITH_A_DEEP_STACK = ["/bin/sh", "-c", f'{DEEPEN_STACK}; exec "$0" "$@"']

GRPC_KEEPALIVE = (
    "--grpc-keepalive-time=10000",
    "--grpc-keepalive-timeout=10000",
    "--grpc-http2-max-pings-without-data=0",
)
"""Milliseconds. A client that is gone without a word (power, network, a stopped process) is given up after 20 s; Triton
alone would hold its connection, its requests and their answers for two hours."""


def argv(config: Config, install: TritonInstall, repository: Path, metrics: Place) -> list[str]:
    """The command line. tritonserver's metrics are for our own metrics server alone, at ``metrics``."""
    http, grpc = config.places.http, config.places.grpc
    return [
        *_WITH_A_DEEP_STACK,
        os.fspath(install.server),
        f"--model-repository={repository}",
        f"--backend-directory={install.backend_dir}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix(config)}",
        f"--backend-config=python,shm-default-byte-size={SHM_REGION_BYTES}",
        f"--backend-config=python,stub-timeout-seconds={int(config.supervision.start_timeout_s)}",
        *_thread_pool(config),
        # Triton's HTTP library and gRPC each have their own way to write an IPv6 address.
        f"--http-address={f'ipv6:{http.host}' if _is_ipv6(http) else http.host}",
        f"--http-port={http.port}",
        f"--grpc-address={f'[{grpc.host}]' if _is_ipv6(grpc) else grpc.host}",
        f"--grpc-port={grpc.port}",
        f"--metrics-address={metrics.host}",
        f"--metrics-port={metrics.port}",
        *GRPC_KEEPALIVE,
        *_closed(config),
        *tracing.flags(config),
        *_model_control(config),
        # Both models wait for the same engine: one after the other they would wait twice.
        "--model-load-thread-count=4",
        f"--exit-timeout-secs={_exit_timeout_s(config)}",
        "--allow-gpu-metrics=false",
    ]


OWN_POOL_THREADS = 2
"""For each of our stubs, which sends one response after the other. Triton's own 32 take turns, so that each response
wakes another one: with 2 a response takes a fifth less of tritonserver's CPU time (benchmarks/front_work.py, 2
cores)."""


def _thread_pool(config: Config) -> list[str]:
    """The user's own models may call others from theirs, and wait for them on these threads."""
    return [] if config.triton.model_repository else [f"--backend-config=python,thread-pool-size={OWN_POOL_THREADS}"]


def _exit_timeout_s(config: Config) -> int:
    """tritonserver waits so long for clients, those among them that only keep a connection open, and for its stubs,
    which it ends one after the other, sleeping a second for each.

    The engines are drained by then. What the user's own models still do is known to nobody else.
    """
    supervision = config.supervision
    longest_s = max(EXIT_TIMEOUT_S, supervision.drain_s if config.triton.model_repository else 0)
    return max(1, int(min(longest_s, supervision.stop_timeout_s * 2 / 3)))


CLOSED = "none: this server keeps it closed"
"""The name of the header that would open a closed API; refusals tell it. No client can send it: a colon ends a field's
name in HTTP, and gRPC takes neither it nor the line end that would be the value."""


def _closed(config: Config) -> list[str]:
    """With trace and logging settings a client could fill the disk or hide its traces; in shared memory tritonserver
    would read and write what it is told to."""
    apis = [api for api in ("shared-memory", "trace", "logging") if api not in config.security.open_apis]
    if not apis:
        return []
    rule = f"{','.join(apis)}:{CLOSED}=\n"
    return [f"--http-restricted-api={rule}", f"--grpc-restricted-protocol={rule}"]


def _is_ipv6(place: Place) -> bool:
    return place.socket is None and ":" in place.host


def _model_control(config: Config) -> list[str]:
    triton = config.triton
    # Our own configurations are complete; asking the stubs would start each of them once more.
    flags = [] if triton.model_repository else ["--disable-auto-complete-config"]
    if triton.model_control_mode == "none":
        # Clients can neither load nor unload; the supervisor takes models out (``supervisor.folder_shelf``).
        return [*flags, "--model-control-mode=poll", "--repository-poll-secs=1"]
    names = [*config.own_models, *triton.load_model] if triton.load_model else ["*"]
    return [*flags, "--model-control-mode=explicit", *(f"--load-model={name}" for name in names)]


def environment(install: TritonInstall, keeper: Path | None = None) -> dict[str, str]:
    """This process's environment with what the server and its stubs need in front; ``keeper`` is the socket at which
    the stubs of a user's repository get their engines.

    The stub takes its packages from the first ``python3`` on PATH and ignores PYTHONPATH.
    """
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environ["PATH"] = os.pathsep.join([os.fspath(install.python.parent), environ.get("PATH", os.defpath)])
    libraries = [os.fspath(folder) for folder in install.library_dirs]
    if inherited := environ.get("LD_LIBRARY_PATH"):
        libraries.append(inherited)
    environ["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    environ["PYTHONUNBUFFERED"] = "1"
    if keeper is not None:
        environ[lease.VARIABLE] = os.fspath(keeper)
    return environ

"""How tritonserver is started: its arguments and its environment, each decided in one place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from trident.config.models import Config
from trident.protocol import lease
from trident.runtime.control_env import TritonInstall

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


def argv(config: Config, install: TritonInstall, repository: Path, metrics_port: int) -> list[str]:
    """The command line. tritonserver's metrics are for our own metrics server alone, at ``metrics_port``."""
    listen = config.listen
    # Triton's HTTP library and gRPC each have their own way to write an IPv6 address.
    is_ipv6 = ":" in listen.host
    http_host, grpc_host = (f"ipv6:{listen.host}", f"[{listen.host}]") if is_ipv6 else (listen.host, listen.host)
    return [
        *_WITH_A_DEEP_STACK,
        os.fspath(install.server),
        f"--model-repository={repository}",
        f"--backend-directory={install.backend_dir}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix(config)}",
        f"--backend-config=python,shm-default-byte-size={SHM_REGION_BYTES}",
        f"--backend-config=python,stub-timeout-seconds={int(config.supervision.start_timeout_s)}",
        f"--http-address={http_host}",
        f"--http-port={listen.http_port}",
        f"--grpc-address={grpc_host}",
        f"--grpc-port={listen.grpc_port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics_port}",
        *_model_control(config),
        # Both models wait for the same engine: one after the other they would wait twice.
        "--model-load-thread-count=4",
        # Triton ends a model's stubs one after the other and sleeps a second for each.
        f"--exit-timeout-secs={max(1, int(config.supervision.stop_timeout_s * 2 / 3))}",
        "--allow-gpu-metrics=false",
    ]


def _model_control(config: Config) -> list[str]:
    triton = config.triton
    # Our own configurations are complete; asking the stubs would start each of them once more.
    flags = [] if triton.model_repository else ["--disable-auto-complete-config"]
    if triton.model_control_mode == "none":
        # Clients can neither load nor unload; the supervisor takes models out of the folder (see ``supervisor.shelf``).
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

"""A small installation that looks to the doctor like a real one: both environments with their lists of files, a model,
a configuration. ``faults`` breaks it, one way at a time."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from layout import Layout

from trident.models.resolve import DEMO_FOLDER
from trident.runtime import pins
from trident.runtime.engine_env import Stamp

ARGUMENTS = {
    "versions": {"vllm": pins.VLLM_VERSION, "torch": "2.13.0+cpu", "cuda": None},
    "engine": {
        name: {"type": kind, "default": None, "choices": None, "help": ""}
        for name, kind in (
            ("max_model_len", "int | None"),
            ("kv_cache_memory_bytes", "int | None"),
            ("quantization", "str | None"),
            ("trust_remote_code", "bool"),
        )
    },
    "openai": {},
}
REGISTRY = "vllm/model_executor/models/registry.py"


@dataclass
class Installation(Layout):
    """``held`` and ``processes`` are what faults keep, until ``close``."""

    TABLES = '[runtime]\nengine_build = "cpu"\n'

    held: list[socket.socket] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def make(cls, root: Path) -> Installation:
        """A healthy one."""
        made = cls(root, _free_ports(4))
        _package(made.site, "control_package", {"control_package/code.py": "x = 1\n"})
        vllm = {"vllm/engine.py": "y = 2\n", REGISTRY: 'MODELS = {"Qwen3ForCausalLM": ("qwen3", "x")}\n'}
        _package(made.engine_site, "vllm", vllm)
        (made.engine / "bin").mkdir()
        (made.engine / "bin" / "python").symlink_to(sys.executable)
        (made.engine / "arguments.json").write_text(json.dumps(ARGUMENTS))
        digest = pins.pins_digest("cpu")
        Stamp("cpu", pins.VLLM_VERSION, "2.13.0+cpu", "a test", "/usr/bin/python3", digest, 1.0).write(made.engine)
        shutil.copytree(DEMO_FOLDER, made.model)
        (made.run_dir / "logs").mkdir(parents=True)
        made.configure()
        return made

    @property
    def site(self) -> Path:
        return self.root / "site"

    @property
    def engine(self) -> Path:
        return self.data_dir / "engines" / f"vllm-{pins.VLLM_VERSION}-cpu-py3.11"

    @property
    def engine_site(self) -> Path:
        return self.engine / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

    def change_model(self, **values: object) -> None:
        """Sets keys of the model's config.json."""
        file = self.model / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    def log(self, name: str, text: str) -> None:
        """What a run has left."""
        (self.run_dir / "logs" / f"{name}.log").write_text(text)

    def close(self) -> None:
        """Gives back what faults hold."""
        for one in self.held:
            one.close()
        for process in self.processes:
            process.kill()
            process.wait(10)


def _package(site: Path, name: str, files: dict[str, str]) -> None:
    rows = []
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}")
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/RECORD,,", ""]))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports

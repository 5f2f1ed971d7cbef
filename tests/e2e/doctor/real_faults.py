"""Ways to break a real installation: what must name it, and words of the reason and of the fix that must be there."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from copied_installation import CopiedInstallation
from layout import keys_open_to_others

TORCH_LIBRARY = "torch/lib/libtorch_cpu.so"
IN_A_NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


class NotHere(Exception):
    """This machine does not let the fault be planted; says why."""


class Fault(NamedTuple):
    """``check`` is who must name it, ``beside`` who else may; ``fix_ends_it`` says that ``--fix`` mends it."""

    plant: Callable[[CopiedInstallation], None]
    check: str
    why: str
    fix: str
    level: str = "fail"
    fix_ends_it: bool = False
    beside: tuple[str, ...] = ()


def torch_library_missing(it: CopiedInstallation) -> None:
    it.take_away(it.engine_site / TORCH_LIBRARY)


def torch_library_cut(it: CopiedInstallation) -> None:
    it.cut(it.engine_site / TORCH_LIBRARY, 1_000_000)


def vllm_module_missing(it: CopiedInstallation) -> None:
    it.take_away(it.engine_site / "vllm" / "v1" / "engine" / "core.py")


def engine_python_gone(it: CopiedInstallation) -> None:
    """An upgrade of the system has removed the Python that the environment was made with."""
    it.point(it.engine / "bin" / "python", Path("/usr/bin/python3.99"))


def engine_python_of_another_version(it: CopiedInstallation) -> None:
    own = it.engine_site.parent.name
    folders = (Path("/usr/bin"), *Path(sys.base_prefix).parent.glob("*/bin"))
    others = [file for folder in folders for file in folder.glob("python3.??") if file.name != own]
    if not others:
        raise NotHere(f"there is no other Python than {own}")
    it.point(it.engine / "bin" / "python", others[0])


def engine_half_installed(it: CopiedInstallation) -> None:
    it.take_away(it.engine / "trident.json")


def engine_of_another_trident(it: CopiedInstallation) -> None:
    stamp = it.engine / "trident.json"
    it.write(stamp, json.dumps({**json.loads(stamp.read_text()), "pins_sha256": "0" * 64}))


def numpy_2(it: CopiedInstallation) -> None:
    """Trident's numpy gives way to vLLM's, with all that its wheel installs."""
    if it.control_site.parent.name != it.engine_site.parent.name:
        raise NotHere("both environments have Pythons of their own, so vLLM's numpy does not fit")
    for old in it.control_site.glob("numpy*"):
        it.take_away(old)
    with next(it.engine_site.glob("numpy-2*.dist-info/RECORD")).open(newline="") as record:
        names = [Path(row[0]) for row in csv.reader(record)]
    for name in names:
        source, target = it.engine_site / name, it.control_site / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            it.take_away(target)
        shutil.copy2(source, target)
    for new in it.control_site.glob("numpy*"):
        it.healing.callback(shutil.rmtree, new)


def tritonserver_missing(it: CopiedInstallation) -> None:
    it.take_away(_tritonserver(it))


def tritonserver_not_executable(it: CopiedInstallation) -> None:
    it.change_mode(_tritonserver(it), 0o644)


def stub_not_executable(it: CopiedInstallation) -> None:
    (_backend(it) / "backends" / "python" / "triton_python_backend_stub").chmod(0o644)


def backend_without_libpython(it: CopiedInstallation) -> None:
    """The libpython that the folder was put together with has been moved by an upgrade."""
    (link,) = (_backend(it) / "lib").iterdir()
    link.unlink()
    link.symlink_to(Path("/usr/lib/gone") / link.name)


def libpython_missing(it: CopiedInstallation) -> None:
    """As on Debian, whose python3 comes without it."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    static = Path(f"/usr/bin/python{version}")
    if not static.exists() or b"libpython" in subprocess.run(["ldd", static], capture_output=True).stdout:
        raise NotHere(f"there is no Python {version} that is linked statically")
    it.point(it.control / "bin" / "python3", static)
    it.write(it.control / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n")
    found = it.python("-c", "from trident.runtime.libpython import find_libpython as f; print(f())").stdout.strip()
    if found:
        _in_a_namespace(it, f"mount --bind /dev/null {os.path.realpath(found)}")


def weights_cut(it: CopiedInstallation) -> None:
    it.cut(it.model / "model.safetensors", 100_000)


def weights_are_a_pointer(it: CopiedInstallation) -> None:
    it.write(it.model / "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def weights_too_large(it: CopiedInstallation) -> None:
    """A file of holes, four terabytes long."""
    size_bytes = 1 << 42
    tensors = {"w": {"dtype": "BF16", "shape": [size_bytes // 2], "data_offsets": [0, size_bytes]}}
    header = json.dumps(tensors).encode()
    it.take_away(it.model / "model.safetensors")
    with (it.model / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size_bytes)


def tokenizer_missing(it: CopiedInstallation) -> None:
    it.take_away(it.model / "tokenizer.json")


def config_json_damaged(it: CopiedInstallation) -> None:
    it.cut(it.model / "config.json", 100)


def port_taken(it: CopiedInstallation) -> None:
    it.healing.enter_context(socket.create_server(("127.0.0.1", it.ports[1])))


def configuration_is_no_toml(it: CopiedInstallation) -> None:
    it.configure("http_port 8000\n")


def setting_misspelt(it: CopiedInstallation) -> None:
    it.configure("[stubs]\nstub = 2\n")


def argument_of_an_older_vllm(it: CopiedInstallation) -> None:
    it.configure("[engine]\nswap_space = 4\n")


def few_open_files(it: CopiedInstallation) -> None:
    it.prefix = ["prlimit", "--nofile=100:100"]


def small_shared_memory(it: CopiedInstallation) -> None:
    _in_a_namespace(it, "mount -t tmpfs -o size=64k tmpfs /dev/shm")


def disk_full(it: CopiedInstallation) -> None:
    it.state_dir.mkdir()
    _in_a_namespace(it, f"mount -t tmpfs -o size=1m tmpfs {it.state_dir}")


def run_directory_is_a_link(it: CopiedInstallation) -> None:
    it.run_dir.parent.mkdir(parents=True)
    it.run_dir.symlink_to(it.root)


def run_directory_is_a_file(it: CopiedInstallation) -> None:
    it.run_dir.parent.mkdir(parents=True)
    it.run_dir.write_text("")


def shared_memory_left(it: CopiedInstallation) -> None:
    asked = "from trident.config import load; from trident.triton.command import shm_prefix; print(shm_prefix(load()))"
    left = Path("/dev/shm") / f"{it.python('-c', asked).stdout.strip()}left"
    left.write_bytes(bytes(1000))
    it.healing.callback(left.unlink, missing_ok=True)


def start_failed(it: CopiedInstallation) -> None:
    """A start without a part of torch; then the part is there again, so that only the logs tell."""
    aside = it.take_away(it.engine_site / TORCH_LIBRARY)
    failed = it.trident("serve", "--detach")
    assert failed.returncode != 0 and "trident doctor" in failed.stderr, failed.stderr
    (it.engine_site / TORCH_LIBRARY).symlink_to(aside)


def _tritonserver(it: CopiedInstallation) -> Path:
    return it.control_site / "pytriton" / "tritonserver" / "bin" / "tritonserver"


def _backend(it: CopiedInstallation) -> Path:
    """The folder that is put together for tritonserver, to be changed at will."""
    folder = it.data_dir / "triton"
    shutil.copytree(it.take_away(folder), folder, symlinks=True)
    return next(folder.glob("pytriton-*"))


def _in_a_namespace(it: CopiedInstallation, command: str) -> None:
    """Commands see what ``command`` mounts, nobody else does."""
    words = [*IN_A_NAMESPACE, "sh", "-ec", f'{command}; exec "$@"', "sh"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise NotHere(f"no mounts of one's own: {tried.stderr.strip()}")
    it.prefix = words


ENGINE, CONTROL, TRITON = "environment.engine", "environment.control", "platform.triton"
PYTRITON = "--no-deps nvidia-pytriton"
FAULTS = {
    "torch library missing": Fault(torch_library_missing, ENGINE, "libtorch_cpu.so: No such file", "trident setup"),
    "torch library cut": Fault(torch_library_cut, ENGINE, "1000000 bytes instead of", "trident setup"),
    "vLLM module missing": Fault(vllm_module_missing, ENGINE, "core.py: No such file", "trident setup"),
    "engine's Python gone": Fault(engine_python_gone, ENGINE, "python3.99", "trident setup"),
    "engine's Python of another version": Fault(
        engine_python_of_another_version, ENGINE, "was made with Python", "trident setup"
    ),
    "engine half installed": Fault(engine_half_installed, ENGINE, "incomplete", "trident setup"),
    "engine of another Trident": Fault(
        engine_of_another_trident, ENGINE, "another version of Trident", "trident setup"
    ),
    "numpy 2": Fault(numpy_2, "environment.numpy", "crashes", "pip install 'numpy<2'"),
    "tritonserver missing": Fault(tritonserver_missing, TRITON, "bin/tritonserver", PYTRITON, beside=(CONTROL,)),
    "tritonserver not executable": Fault(
        tritonserver_not_executable, TRITON, "may not be executed", "chmod +x", fix_ends_it=True
    ),
    "stub not executable": Fault(stub_not_executable, TRITON, "may not be executed", "rm -r", fix_ends_it=True),
    "backend without libpython": Fault(backend_without_libpython, TRITON, "leads nowhere", "rm -r", fix_ends_it=True),
    "libpython missing": Fault(libpython_missing, TRITON, "stub embeds it", "apt-get install libpython3"),
    "weights cut": Fault(weights_cut, "model.files", "cut short", "fetch that file again"),
    "weights a pointer": Fault(weights_are_a_pointer, "model.files", "git-lfs pointer", "git lfs pull"),
    "weights too large": Fault(weights_too_large, "model.memory", "weights 4096.0 GiB", "smaller or quantised"),
    "tokenizer missing": Fault(tokenizer_missing, "model.files", "tokenizer.json", "tokenizer files"),
    "config.json damaged": Fault(config_json_damaged, "model.files", "not JSON", "fetch that file again"),
    "port taken": Fault(port_taken, "configuration.ports", "held by process", "--grpc-port"),
    "configuration is no TOML": Fault(configuration_is_no_toml, "configuration.settings", "line", "correct that line"),
    "setting misspelt": Fault(setting_misspelt, "configuration.settings", "did you mean stubs.stubs", "remove it"),
    "argument of an older vLLM": Fault(
        argument_of_an_older_vllm, "configuration.settings", "preempted requests", "kv-offloading-size"
    ),
    "few open files": Fault(few_open_files, "limits.descriptors", "needs about", "ulimit -n"),
    "small shared memory": Fault(small_shared_memory, "machine.shm", "stubs of Triton need", "--shm-size"),
    "disk full": Fault(disk_full, "machine.disk", "logs", "TRIDENT_STATE_DIR"),
    "run directory is a link": Fault(
        run_directory_is_a_link, "configuration.run_directory", "symbolic link", "TRIDENT_STATE_DIR"
    ),
    "run directory is a file": Fault(run_directory_is_a_file, "configuration.run_directory", "no folder", "rm "),
    "shared memory left": Fault(
        shared_memory_left, "machine.shm", "of memory", "rm /dev/shm/", level="warn", fix_ends_it=True
    ),
    "keys open to others": Fault(
        keys_open_to_others, "configuration.files", "secret", "chmod 600", level="warn", fix_ends_it=True
    ),
    "start failed": Fault(start_failed, "failure.vllm.environment", "libtorch_cpu.so", "trident setup"),
}

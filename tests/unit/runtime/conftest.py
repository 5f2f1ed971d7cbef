from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from trident.runtime import checks, engine_install, python_finder
from trident.runtime.python_finder import Interpreter

# Says what uv says, does what matters of it, and leaves one line for each call. FAKE_* variables make it misbehave.
FAKE_UV = r"""#!/bin/sh
shift 2  # --color never
echo "$*" >> "$FAKE_CALLS"
for argument; do last=$argument; done
case "$1 $2" in
"python find") exit 2 ;;
"pip compile")
    case "$*" in
    *--torch-backend*) [ -n "$FAKE_NO_PYTORCH" ] && { echo "error: client error (Connect): dns error"; exit 1; } ;;
    *) [ -n "$FAKE_NO_CONFIGURED" ] && { echo "error: No solution found"; exit 1; } ;;
    esac
    case "$*" in *"python$FAKE_ONLY_PYTHON"*) ;; *) echo "error: No solution found"; exit 1 ;; esac ;;
"venv --no-project")
    mkdir -p "$last/bin"
    printf '#!/bin/sh\n[ "$1" = -c ] && { echo "$FAKE_UNFIT"; [ -z "$FAKE_UNFIT" ]; exit; }\ncp "%s" "$3"\n' \
        "$FAKE_CALLS.json" > "$last/bin/python"
    [ -n "$FAKE_BAD_VLLM" ] && printf '#!/bin/sh\necho "ImportError: no vllm"; exit 1\n' > "$last/bin/python"
    chmod +x "$last/bin/python" ;;
"pip install")
    echo "Resolved 2 packages in 1ms"
    echo "Downloading torch (1.5MiB)"
    if [ -n "$FAKE_HANG" ]; then echo $$ > "$FAKE_HANG"; exec sleep 60; fi
    [ -n "$FAKE_FAIL" ] && { echo "error: $FAKE_FAIL"; exit 1; }
    echo "Installed 2 packages in 1ms" ;;
esac
exit 0
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake uv in place of the real one; the file lists what it was asked."""
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    script = tmp_path / "uv"
    script.write_text(FAKE_UV)
    script.chmod(0o755)
    log = tmp_path / "calls"
    log.touch()
    versions = {"vllm": "0", "torch": "2+cpu", "cuda": None}
    (tmp_path / "calls.json").write_text(json.dumps({"versions": versions}))
    monkeypatch.setenv("FAKE_CALLS", str(log))
    monkeypatch.setenv("FAKE_ONLY_PYTHON", "")
    monkeypatch.setattr(engine_install, "find_uv", lambda: script)
    monkeypatch.setattr(checks, "check_disk", lambda *_: None)
    monkeypatch.setattr(
        python_finder,
        "candidates",
        lambda _: iter(
            [
                Interpreter("3.12", Path("/x/python3.12")),
                Interpreter("3.11", Path(sys.executable).parent / "python3.11"),
            ]
        ),
    )
    return log


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"

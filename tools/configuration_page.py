"""Writes ``docs/configuration.md`` from the declarations that make flags, variables and file:

python tools/configuration_page.py
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from pydantic.fields import FieldInfo  # noqa: E402

from trident.config.engine_arguments import OURS  # noqa: E402
from trident.config.load import NOT_SETTINGS, PASS_THROUGH, PREFIX, settings  # noqa: E402
from trident.config.models import Config  # noqa: E402
from trident.config.old_arguments import GPU_ONLY, REMOVED  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
OUTSIDE = {
    "TRIDENT_CONFIG": "The configuration file, when `--config` names none.",
    "TRIDENT_DATA_DIR": "Environments and the record of fetched models; by default `$XDG_DATA_HOME/trident`, else "
    "`~/.local/share/trident`.",
    "TRIDENT_STATE_DIR": "Run directories: configuration, logs, state; by default `$XDG_STATE_HOME/trident`, else "
    "`~/.local/state/trident`.",
}
INTERNAL = {"TRIDENT_STATUS_FD", "TRIDENT_KEEPER", "TRIDENT_PYTHON", "TRIDENT_NURSERY"}

_TOP = """\
# Configuration

<!-- Written by tools/configuration_page.py from src/trident/config; change that, not this page. -->

Every setting is declared once, and has a flag of `trident serve`, a variable and a key in `trident.toml`. A later
source overrides an earlier one: defaults, file, variables, flags. The file is the one that `--config` names, else
`TRIDENT_CONFIG`, else `trident.toml` in the current folder. An unknown key, variable or flag is an error that names the
nearest known one. What came out is kept as `config.json` in the server's run directory.
"""
_PASS_THROUGH = """\
## vLLM's arguments

`[engine]` takes the engine arguments of the installed vLLM, `[openai]` those of its OpenAI server, both under vLLM's
own names, with `_` or `-`. Names and plain types are checked against the installed vLLM before anything starts.
"""
_EXAMPLE = """\
```toml
[engine]
max_model_len = 4096

[engine.hf_overrides]
max_position_embeddings = 8192

[openai]
enable_auto_tool_choice = true
tool_call_parser = "hermes"
```

On a command line a flag belongs to the table that knows its name: `--max-model-len 4096`, `--no-enable-prefix-caching`,
`-tp 2`, `--hf-overrides.max_position_embeddings 8192`. A variable holds JSON or plain text.

Trident sets `scheduling_policy = "priority"`, unless you set it: requests of the same priority are served in order of
arrival, as with vLLM's default, and a request's own `priority` counts.

On a CPU Trident sets what follows, unless you set it: `enforce_eager = true`; one process fewer
(`distributed_executor_backend = "uni"`) on a machine with one NUMA node and no tensor or pipeline parallelism; and a
KV cache for 64 sequences of `max_model_len` (`max_num_seqs` of them if that is less), at most 4 GiB and a quarter of
the free memory, where vLLM would take 92 % of all memory. `kv_cache_memory_bytes` is what changes it;
`gpu_memory_utilization` is for GPUs.

On a GPU of 40 GiB and more Trident sets `cudagraph_capture_sizes` up to 2,048 tokens, where vLLM's own end at 512,
unless you set them or what decides on them (`max_cudagraph_capture_size`, `compilation_config`, `performance_mode`,
`speculative_config`, `enforce_eager`): why, and what it costs, is in [performance](performance.md).
"""
_OTHERS = """\
vLLM's own `VLLM_…` variables reach the engine as they are. The hubs' variables (`HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
`MODELSCOPE_CACHE`, `MODELSCOPE_API_TOKEN`) are honoured, and so is where pip and uv are told to look for packages.
`trident chat` takes `OPENAI_API_KEY`.
"""


def page() -> str:
    """The whole page."""
    assert set(OUTSIDE) | INTERNAL == NOT_SETTINGS, "describe every variable in OUTSIDE"
    return "\n".join([_TOP, *_sections(), _PASS_THROUGH, _tables(), _EXAMPLE, _refused(), _variables(), _OTHERS])


def _sections() -> Iterable[str]:
    grouped: dict[tuple[str, ...], list[tuple[str, FieldInfo]]] = {}
    for path, name, field in settings():
        grouped.setdefault(path, []).append((name, field))
    for path, fields in grouped.items():
        title = f"## `[{'.'.join(path)}]`" if path else "## The server (top of the file)"
        rows = [[f"`{name}`", *_ways(name, field), _description(field)] for name, field in fields]
        yield f"{title}\n\n{_table(['key', 'flag', 'variable', 'value', 'default', 'meaning'], rows)}"


def _ways(name: str, field: FieldInfo) -> list[str]:
    flag = "--" + name.replace("_", "-")
    flags = "`MODEL`" if name == "model" else f"`{flag}`"
    if field.annotation is bool:
        flags = f"`{flag}`, `--no-{flag[2:]}`"
    return [flags, f"`{PREFIX}{name.upper()}`", _kind(field), _default(field.default)]


def _kind(field: FieldInfo) -> str:
    annotation, rules = field.annotation, field.metadata
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) is typing.Annotated:
        inner = FieldInfo.from_annotation(typing.cast(Any, annotation))
        annotation, rules = inner.annotation, [*rules, *inner.metadata]
    if typing.get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return "texts (flag: once for each; variable: JSON list)"
    words = {int: "whole number", float: "number", bool: "true or false"}.get(typing.cast(Any, annotation), "text")
    limits = [
        f"{sign} {getattr(rule, name)}"
        for rule in rules
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if hasattr(rule, name)
    ]
    pattern = next((rule.pattern for rule in rules if getattr(rule, "pattern", None)), None)
    return f"{words} matching `{pattern}`" if pattern else ", ".join([words, *limits])


def _default(value: Any) -> str:
    if value is None:
        return "see meaning"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return " ".join(f"`{part}`" for part in value) if isinstance(value, tuple) else f"`{value}`"


def _description(field: FieldInfo) -> str:
    return field.description or ""


def _tables() -> str:
    rows = [
        [f"`[{name}]`", "`--ARGUMENT VALUE`", f"`{PREFIX}{name.upper()}__ARGUMENT`", _description(field)]
        for name, field in Config.model_fields.items()
        if name in PASS_THROUGH
    ]
    return _table(["table", "flag", "variable", "meaning"], rows)


def _refused() -> str:
    ours = _table(["refused, because Trident decides it", "instead"], _explained(OURS))
    removed = _table(["gone from vLLM", "why", "instead"], [[f"`{name}`", *told] for name, told in REMOVED.items()])
    gpu_only = _table(
        ["refused by the CPU build", "why", "instead"], [[f"`{name}`", *told] for name, told in GPU_ONLY.items()]
    )
    return f"{ours}\n{removed}\n{gpu_only}"


def _explained(reasons: dict[str, str]) -> list[list[str]]:
    return [[f"`{name}`", reason] for name, reason in reasons.items()]


def _variables() -> str:
    rows = [[f"`{name}`", meaning] for name, meaning in OUTSIDE.items()]
    return f"## Variables that are no settings\n\n{_table(['variable', 'meaning'], rows)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

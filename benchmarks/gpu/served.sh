#!/usr/bin/env bash
# `trident serve` itself on the GPU machine, with its supervisor and a control environment, after the packs of pack.sh:
#   served.sh control          in the call that brings .gpu-e, after .gpu4: the control environment
#   served.sh begin ..         in the call that brings .gpu-d: the engine environment, then each step that is named
#   served.sh follow SECONDS   shows how it goes on, for so long at most, and brings back what there is
# Steps: tests (tests/gpu), overload (benchmarks/overload.py). They are a session of their own: they go on between the
# calls.
set -u
ulimit -n 65536 2>/dev/null || true
place=$HOME/served
control=$HOME/ctl
site=$control/lib/python3.12/site-packages
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_USE_FLASHINFER_SAMPLER=0 PYTHONUNBUFFERED=1
export TRIDENT_DATA_DIR=$HOME/data TRIDENT_STATE_DIR=$HOME/st
mkdir -p "$place/out"

control() {
    /usr/bin/python3.12 -m venv --without-pip "$control"
    cp -r "$HOME"/stubenv/lib/python3.12/site-packages/. "$site"
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$site" .gpu-e/*.whl
    # What nvidia-pytriton's wheel would have put there, without its bulk.
    mkdir -p "$site/pytriton" "$site/nvidia_pytriton-0.7.0.dist-info"
    touch "$site/pytriton/__init__.py"
    printf 'Metadata-Version: 2.1\nName: nvidia-pytriton\nVersion: 0.7.0\n' >"$site/nvidia_pytriton-0.7.0.dist-info/METADATA"
    ln -sfn "$HOME/ts/tritonserver" "$site/pytriton/tritonserver"
    ln -sfn "$HOME/ts/nvidia_pytriton.libs" "$site/nvidia_pytriton.libs"
}

engine() {
    bash "$HOME/speed/speed.sh" install
    folder=$TRIDENT_DATA_DIR/engines/vllm-0.32.0-cuda-py3.12
    python3 -m venv --without-pip "$folder"
    { echo "$HOME/site"; python3 -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])'; } \
        >"$folder/lib/python3.12/site-packages/packs.pth"
    "$folder/bin/python" -I src/trident/engine/arguments_dump.py "$folder/arguments.json"
    "$control/bin/python" - "$folder" <<'PY'
import sys
from pathlib import Path

from trident.runtime import pins
from trident.runtime.engine_env import Stamp

Stamp("cuda", pins.VLLM_VERSION, "2.11", "packs", sys.executable, pins.pins_digest("cuda"), 0.0).write(Path(sys.argv[1]))
PY
}

tests() { # by the files and tests that are named in TESTS, all of them by default
    "$control/bin/python" -m pytest -q -p no:cacheprovider --basetemp="$HOME/t" --durations=0 ${TESTS:-tests/gpu}
}

overload() {
    export BENCHMARK_MODEL=$HOME/q06
    export BENCHMARK_ENGINE='--load-format dummy --max-model-len 4096 --max-num-seqs 512'
    "$control/bin/python" benchmarks/overload.py --minutes 2 --times 10 --json "$place/out/overload.json"
}

steps() {
    engine
    "$control/bin/python" -m trident env
    "$control/bin/python" -m trident doctor
    for step in "$@"; do echo "== $step"; "$step"; echo "== $step: exit code $?"; done
    echo "== all steps have ended"
}

begin() {
    mkdir -p "$place/tree"
    cp -r src tests benchmarks pyproject.toml .gpu-d "$place/tree/"
    echo "$place/tree/src" >"$site/trident.pth"
    cd "$place/tree" || exit 1
    setsid bash benchmarks/gpu/served.sh steps "$@" >"$place/run.log" 2>&1 </dev/null &
    echo $! >"$place/pid"
}

follow() {
    bash "$HOME/speed/speed.sh" watch "$place" "$1"
    (cd "$HOME" && tar czf "$OUT/logs.tgz" --exclude='*.safetensors' --exclude=torch_compile_cache $(find t st -name '*.log' 2>/dev/null)) 2>/dev/null
    kill -0 "$(cat "$place/pid")" 2>/dev/null && echo "it goes on" || echo "it has ended"
}

case $1 in
control | engine) "$1" ;;
steps) steps "${@:2}" ;;
begin) begin "${@:2}" ;;
follow) follow "$2" ;;
*) echo "served.sh: unknown step $1" >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# On the GPU machine, the last of the five calls that pack.sh names: installs vLLM, then runs smoke.py, or
# the other program that PROGRAM names (survival), with all arguments given here.
set -u
program=${PROGRAM:-smoke}
exec > >(tee "$OUT/run.log") 2>&1
begun=$(date +%s)
ln -sfn .gpu-d .gpu2
if [ -d "$HOME/site/vllm" ]; then # a second run on the same machine
    export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_USE_FLASHINFER_SAMPLER=0
else
    cat "$HOME/part.02" >>"$HOME/part.01"
    . .gpu2/setup_vllm.sh
fi
source=$PWD/.gpu-d
echo "$source/src" >"$HOME/stubenv/lib/python3.12/site-packages/trident.pth"
setup_s=$(($(date +%s) - begun))
echo "set up in $setup_s s; Trident $(cat .gpu-d/commit)"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
# What the import costs when files are in memory; taken while the engine compiles.
[ "$program" = smoke ] && (sleep 60 && cd / && PYTHONPATH=$HOME/site:$source/src python3 -X importtime -c 'import trident.engine.host' \
    2>"$OUT/importtime.txt") &
PYTHONPATH=$HOME/site:$source/src:$source/benchmarks TRIDENT_STATE_DIR=$HOME/st PYTHONUNBUFFERED=1 \
    timeout $((585 - setup_s)) python3 "$source/benchmarks/gpu/$program.py" \
    --model "$HOME/q06" --engine '{"load_format": "dummy", "max_model_len": 4096, "gpu_memory_utilization": 0.8}' \
    --engine-python "$(command -v python3)" --engine-path "$HOME/site" \
    --triton "$HOME/ts/tritonserver/bin/tritonserver" --triton-libraries "$HOME/ts/nvidia_pytriton.libs" \
    --backends "$HOME/be" --stub-python "$HOME/stubenv/bin/python3" --out "$OUT" --budget-s $((570 - setup_s)) "$@"
code=$?
[ $code -eq 0 ] || tail -n 40 "$OUT/engine.log" "$OUT/triton.log"
sleep 1
exit $code

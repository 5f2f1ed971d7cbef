#!/usr/bin/env bash
# On the GPU machine, after the packs of pack.sh are there:
#   speed.sh unpack            in the call that brings .gpu-c: vLLM is unpacked, and compiled to bytecode, while the next
#                              packs come
#   speed.sh begin SECONDS ..  in the call that brings .gpu-d: installs the rest and starts speed.py, with what follows
#   speed.sh install           the packs alone, as begin does first
#   speed.sh watch PLACE SECONDS    what follow shows, of any run that has run.log, pid and out in PLACE
#   speed.sh follow SECONDS    shows how it goes on, for so long at most, and brings back what there is
# speed.py is a session of its own: it goes on between the calls.
set -u
ulimit -n 65536 2>/dev/null || true
place=$HOME/speed
mkdir -p "$place/out"

unpack() {
    cp .gpu-c/part.02 "$HOME/" && mkdir -p "$HOME/site"
    setsid bash -c 'cat "$HOME"/part.00 "$HOME"/part.01 "$HOME"/part.02 | tar xJ -C "$HOME/site" && touch "$HOME/site.done" &&
        exec python3 -m compileall -q -j 16 "$HOME/site/vllm" "$HOME/site/transformers"' \
        >"$place/unpack.log" 2>&1 </dev/null &
}

install() {
    tar xf .gpu-d/q06.tar.xz -C "$HOME" &
    for _ in $(seq 120); do [ -e "$HOME/site.done" ] && break; sleep 1; done
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$HOME/site" .gpu-d/*.whl 2>&1 | tail -n 3
    wait
}

begin() {
    seconds=$1
    shift
    install
    cp -r .gpu-d/src .gpu-d/benchmarks .gpu-d/commit "$place/"
    echo "$place/src" >"$HOME/stubenv/lib/python3.12/site-packages/trident.pth"
    export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_USE_FLASHINFER_SAMPLER=0 PYTHONUNBUFFERED=1
    export PYTHONPATH=$HOME/site:$place/src:$place/benchmarks TRIDENT_STATE_DIR=$HOME/st
    setsid timeout $((seconds + 60)) python3 "$place/benchmarks/gpu/speed.py" --model "$HOME/q06" \
        --engine "$(cat "$place/benchmarks/gpu/speed_engine.json")" --commit "$(cat "$place/commit")" \
        --engine-python "$(command -v python3)" --engine-path "$HOME/site" \
        --triton "$HOME/ts/tritonserver/bin/tritonserver" --triton-libraries "$HOME/ts/nvidia_pytriton.libs" \
        --backends "$HOME/be" --stub-python "$HOME/stubenv/bin/python3" --out "$place/out" --budget-s "$seconds" "$@" \
        >"$place/run.log" 2>&1 </dev/null &
    echo $! >"$place/pid"
}

watch() {
    tail -n +1 -f "$1/run.log" &
    tail=$!
    for _ in $(seq "$2"); do
        kill -0 "$(cat "$1/pid")" 2>/dev/null || break
        sleep 1
        cp "$1/run.log" "$1"/out/*.json "$OUT/" 2>/dev/null
        grep -q 'not measured:' "$1/run.log" && break # what follows is only the end of the servers
    done
    kill $tail
    cp "$1/run.log" "$1"/out/*.json "$OUT/" 2>/dev/null
}

follow() {
    watch "$place" "$1"
    tar czf "$OUT/logs.tgz" -C "$place/out" --exclude=caches . 2>/dev/null
    kill -0 "$(cat "$place/pid")" 2>/dev/null && echo "speed.py goes on" || echo "speed.py has ended"
}

case $1 in
unpack) unpack ;;
begin) begin "${@:2}" ;;
install) install ;;
watch) watch "$2" "$3" ;;
follow) follow "$2" ;;
*) echo "speed.sh: unknown step $1" >&2; exit 2 ;;
esac

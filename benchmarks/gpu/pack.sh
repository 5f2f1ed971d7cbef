#!/usr/bin/env bash
# Here, in the repository's root, after shared/gpu/prepare.sh: deals its packs anew, as each transfer holds 64 MiB and
# our own files travel with every one. Takes seconds. .gpu-d also gets Trident as committed, so that nothing that is
# edited meanwhile is measured. Then, one call after the other:
#
#   carry .gpu-a   cp .gpu-a/part.00 $HOME/
#   carry .gpu-b   cp .gpu-b/part.01 $HOME/
#   carry .gpu-c   cp .gpu-c/part.02 $HOME/
#   carry .gpu4    bash .gpu4/setup_triton.sh
#   carry .gpu-d   bash .gpu-d/benchmarks/gpu/smoke.sh
#
# and for speed.py, which goes on between calls, the last two of them as
#
#   carry .gpu-c   mkdir -p $HOME/speed; cp .gpu-c/speed.sh $HOME/speed/; bash $HOME/speed/speed.sh unpack
#   carry .gpu4    bash .gpu4/setup_triton.sh
#   carry .gpu-d   bash $HOME/speed/speed.sh begin SECONDS; bash $HOME/speed/speed.sh follow 500
#   (again)        bash $HOME/speed/speed.sh follow 500
#
# and for `trident serve` itself (served.sh), where .gpu-e is the control environment's wheels:
#
#   carry .gpu-c   mkdir -p $HOME/speed; cp .gpu-c/speed.sh $HOME/speed/; bash $HOME/speed/speed.sh unpack
#   carry .gpu4    bash .gpu4/setup_triton.sh
#   carry .gpu-e   bash benchmarks/gpu/served.sh control
#   carry .gpu-d   bash benchmarks/gpu/served.sh begin tests overload; bash $HOME/served/tree/benchmarks/gpu/served.sh follow 500
#   (again)        bash $HOME/served/tree/benchmarks/gpu/served.sh follow 500
set -euo pipefail
part_bytes=$((50 * 1024 * 1024))
rm -rf .gpu-a .gpu-b .gpu-c .gpu-d .gpu-e
mkdir .gpu-a .gpu-b .gpu-c .gpu-e
cp -r .gpu2 .gpu-d
cat .gpu1/part.00 .gpu3/part.01 | split -b $part_bytes -d - .gpu-d/part.
mv .gpu-d/part.00 .gpu-a/
mv .gpu-d/part.01 .gpu-b/
mv .gpu-d/part.02 .gpu-c/
git archive HEAD src/trident benchmarks | tar x -C .gpu-d --exclude='*/models/demo' --exclude='*/pins/*.txt'
git rev-parse --short HEAD >.gpu-d/commit
cp .gpu-d/benchmarks/gpu/speed.sh .gpu-c/
tags=(--platform manylinux2014_x86_64)
for n in 34 31 28 27 26 24 17 12 5; do tags+=(--platform "manylinux_2_${n}_x86_64"); done
.venv/bin/python -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp "${tags[@]}" \
    -d .gpu-e -r <(.venv/bin/python benchmarks/gpu/control_wheels.py)
du -sm .gpu-a .gpu-b .gpu-c .gpu4 .gpu-e .gpu-d

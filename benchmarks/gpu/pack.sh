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
set -euo pipefail
part_bytes=$((50 * 1024 * 1024))
rm -rf .gpu-a .gpu-b .gpu-c .gpu-d
mkdir .gpu-a .gpu-b .gpu-c
cp -r .gpu2 .gpu-d
cat .gpu1/part.00 .gpu3/part.01 | split -b $part_bytes -d - .gpu-d/part.
mv .gpu-d/part.00 .gpu-a/
mv .gpu-d/part.01 .gpu-b/
mv .gpu-d/part.02 .gpu-c/
git archive HEAD src/trident benchmarks | tar x -C .gpu-d --exclude='*/models/demo' --exclude='*/pins/*.txt'
git rev-parse --short HEAD >.gpu-d/commit
cp .gpu-d/benchmarks/gpu/speed.sh .gpu-c/
du -sm .gpu-a .gpu-b .gpu-c .gpu4 .gpu-d

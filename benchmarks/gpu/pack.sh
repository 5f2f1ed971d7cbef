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
set -euo pipefail
part_bytes=$((54 * 1024 * 1024))
rm -rf .gpu-a .gpu-b .gpu-c .gpu-d
mkdir .gpu-a .gpu-b .gpu-c
cp -r .gpu2 .gpu-d
cat .gpu1/part.00 .gpu3/part.01 | split -b $part_bytes -d - .gpu-d/part.
mv .gpu-d/part.00 .gpu-a/
mv .gpu-d/part.01 .gpu-b/
mv .gpu-d/part.02 .gpu-c/
git archive HEAD src/trident benchmarks | tar x -C .gpu-d --exclude='*/models/demo' --exclude='*/pins/*.txt'
git rev-parse --short HEAD >.gpu-d/commit
du -sm .gpu-a .gpu-b .gpu-c .gpu4 .gpu-d

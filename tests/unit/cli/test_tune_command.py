"""What ``trident tune`` refuses before anything starts."""

from __future__ import annotations

import pytest

from trident.cli import tune
from trident.cli.main import main
from trident.errors import ConfigurationError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--objective", "speed"], "--objective speed is unknown"),
        ([], "Goodput needs an SLO for each request"),
        (["--slo", "ttft:1s", "--api", "smtp"], "--api smtp is unknown"),
        (["--objective", "latency"], "A latency is least where nobody asks"),
        (["--slo", "ttft:1s", "--request-rate", "4", "--concurrency", "2"], "exclude each other"),
        (["--slo", "ttft:1s", "--mix", "--jsonl", "x"], "exclude each other"),
        (["--slo", "ttft:1s", "--vary", "max_num_seqs"], "names no values"),
        (["--slo", "ttft:1s", "--input-tokens", "many"], "many"),
        (["--slo", "ttft:1s", "--gate-prompts", "no-such-file"], "no-such-file cannot be read"),
        (["--resume", "no-such-folder"], "holds no search that can be gone on with"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_three_lines(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tune", "demo", *words])
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 3
    assert len(lines) == 3 and said in lines[0]


def test_values_to_vary_are_read_as_vllm_would_have_them() -> None:
    assert tune._vary(["--max-num-seqs=16,64", "enforce_eager=true,false"]) == {
        "max_num_seqs": [16, 64], "enforce_eager": [True, False],
    }  # fmt: skip
    with pytest.raises(ConfigurationError):
        tune._vary(["max_num_seqs="])

"""Train the demo model and export it: ``python -m tools.demo_model.train --out FOLDER`` from the repository root.

With ``--start-from`` an exported folder is trained further, with the tokenizer it has.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tools.demo_model.batches import IGNORED_LABEL, Batches
from tools.demo_model.corpus import question_list
from tools.demo_model.measure import measure
from tools.demo_model.model import new_model
from tools.demo_model.tokenizer import END_OF_TEXT, train_tokenizer, write_tokenizer
from torch.utils.data import DataLoader
from transformers import Qwen3ForCausalLM

log = logging.getLogger("demo_model")

WARM_UP_SHARE = 0.03
# From this share of the run on, each step sees weights disturbed by a relative error a few times larger than
# bfloat16's rounding, so that the answers survive rounding and another order of summation.
NOISE_FROM_SHARE = 0.4
NOISE_RELATIVE = 0.01
LOG_EVERY_STEPS = 50


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(options.seed)
    if options.start_from:
        tokenizer = Tokenizer.from_file(str(options.start_from / "tokenizer.json"))
        model = Qwen3ForCausalLM.from_pretrained(options.start_from, dtype=torch.float32).to(device)
        model.train()
    else:
        tokenizer = train_tokenizer()
        model = new_model(tokenizer).to(device)
    log.info("%s weights on %s, vocabulary %s", model.num_parameters(), device, tokenizer.get_vocab_size())
    report = {"device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "seed": options.seed}
    report |= train(model, tokenizer, options)
    options.out.mkdir(parents=True, exist_ok=True)
    export(model, tokenizer, options.out)
    report |= grade(model, tokenizer)
    (options.out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n")


def train(model: Qwen3ForCausalLM, tokenizer: Tokenizer, options: argparse.Namespace) -> dict[str, float]:
    """Train in place. The schedule ends with the steps or with the time limit, whichever is spent first."""
    is_cuda = model.device.type == "cuda"
    pad_id = tokenizer.token_to_id(END_OF_TEXT)
    batches = Batches(
        tokenizer, pad_id=pad_id, seed=options.seed, steps=options.steps, batch_tokens=options.batch_tokens
    )
    loader = DataLoader(batches, batch_size=None, num_workers=options.workers)
    optimizer = torch.optim.AdamW(_groups(model), lr=options.peak_rate, betas=(0.9, 0.98), fused=is_cuda)
    weights = [weight for weight in model.parameters() if weight.ndim == 2]
    started_s = time.monotonic()
    recent: list[torch.Tensor] = []
    step, spent_share, loss_value = 0, 0.0, math.nan
    for step, (ids, labels) in enumerate(loader, start=1):
        spent_share = max(step / options.steps, (time.monotonic() - started_s) / options.limit_s)
        for group in optimizer.param_groups:
            group["lr"] = options.peak_rate * _rate_share(min(spent_share, 1.0))
        kept = _disturb(weights) if spent_share > NOISE_FROM_SHARE else None
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=is_cuda):
            loss = _loss(model, ids.to(model.device, non_blocking=True), labels.to(model.device, non_blocking=True))
        loss.backward()
        if kept is not None:
            _restore(weights, kept)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        recent.append(loss.detach())
        if step % LOG_EVERY_STEPS == 0 or spent_share >= 1:
            loss_value = torch.stack(recent).mean().item()
            recent.clear()
            log.info("step %d  loss %.5f  %.0f s", step, loss_value, time.monotonic() - started_s)
        if spent_share >= 1:
            break
    return {"steps": step, "loss": loss_value, "train_s": round(time.monotonic() - started_s, 1)}


def export(model: Qwen3ForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    """Write the folder that Trident serves; the weights are rounded to bfloat16 in place."""
    model.to(torch.bfloat16).save_pretrained(out)
    # save_pretrained lets only the owner read the weights; a wheel made from them would keep that.
    (out / "model.safetensors").chmod(0o644)
    write_tokenizer(tokenizer, out)
    rows = [json.dumps(question.as_json(), ensure_ascii=False) for question in question_list()]
    (out / "questions.json").write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")


def grade(model: Qwen3ForCausalLM, tokenizer: Tokenizer) -> dict[str, object]:
    """Greedy accuracy of the rounded weights, computed in both precisions in which they are served."""
    model.eval()
    scores: dict[str, object] = {}
    for dtype in (torch.bfloat16, torch.float32):
        for style, score in measure(model.to(dtype), tokenizer, question_list()).items():
            scores[f"{dtype} {style}"] = asdict(score) | {"wrong": score.wrong[:20]}
            log.info(
                "%s %s: %.2f %% right, smallest lead %.2f, wrong: %s",
                dtype,
                style,
                100 * score.accuracy,
                score.smallest_lead,
                score.wrong[:5],
            )
    return scores


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--limit-s", type=float, default=math.inf, help="end the schedule early after this time")
    parser.add_argument("--start-from", type=Path, help="an exported folder to train further")
    parser.add_argument("--peak-rate", type=float, default=2.5e-3, help="highest learning rate")
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _groups(model: Qwen3ForCausalLM) -> list[dict[str, object]]:
    matrices = [weight for weight in model.parameters() if weight.ndim == 2]
    vectors = [weight for weight in model.parameters() if weight.ndim != 2]
    return [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]


def _rate_share(spent_share: float) -> float:
    if spent_share < WARM_UP_SHARE:
        return spent_share / WARM_UP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (spent_share - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)))


def _loss(model: Qwen3ForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    is_learned = wanted != IGNORED_LABEL
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[is_learned]).float(), wanted[is_learned])


@torch.no_grad()
def _disturb(weights: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    kept = [weight.clone() for weight in weights]
    for weight in weights:
        weight.mul_(1 + NOISE_RELATIVE * torch.randn_like(weight))
    return kept


@torch.no_grad()
def _restore(weights: list[torch.nn.Parameter], kept: list[torch.Tensor]) -> None:
    torch._foreach_copy_(weights, kept)


if __name__ == "__main__":
    main()

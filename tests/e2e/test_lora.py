"""LoRA adapters by name: named at the start or put into a folder, the same through every door."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adapter_files
import httpx
import pytest
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "What is the capital of France?\n"
PLAIN = "The capital of France is Paris."


@dataclass(frozen=True)
class Adapted:
    """A server with the adapter ``fixed``, and the folder for more."""

    served: Served
    folder: Path

    def kserve(self, name: str | None) -> str:
        """The answer, or the error."""
        lora = {} if name is None else {"lora_name": name}
        answer = self.served.generate(QUESTION, max_tokens=12, **lora).json()
        return str(answer["text_output"] if "text_output" in answer else answer["error"])

    def openai(self, name: str | None) -> str:
        wanted = {"model": name or "demo", "prompt": QUESTION, "max_tokens": 12, "temperature": 0}
        answer = httpx.post(f"{self.served.openai_url}/completions", json=wanted, timeout=60).json()
        return str(answer["choices"][0]["text"] if "choices" in answer else answer["error"]["message"])


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adapted]:
    made = tmp_path_factory.mktemp("l")
    folder = made / "adapters"
    folder.mkdir()
    fixed = adapter_files.write(made / "named", seed=1)
    served = Served.plan(made / "state")
    # Room for two of them: every mixture of three has to make one go and come back.
    started = served.serve("demo", "--lora-modules", f"fixed={fixed}", "--lora-dir", str(folder), "--max-loras", "2")
    assert started.returncode == 0, started.stdout + started.stderr
    yield Adapted(served, folder)
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


@pytest.fixture(autouse=True)
def still_serving(adapted: Adapted) -> Any:
    yield
    assert adapted.kserve(None) == adapted.openai(None) == PLAIN


def test_named_adapter_changes_the_answer_alike_at_both_doors(adapted: Adapted) -> None:
    answer = adapted.kserve("fixed")
    assert answer != PLAIN
    assert adapted.openai("fixed") == answer


def test_adapter_put_into_the_folder_is_there_at_once(adapted: Adapted) -> None:
    assert "there is no such adapter; there are: fixed" in adapted.kserve("late")
    adapter_files.write(adapted.folder / "late", seed=2)
    answer = adapted.kserve("late")
    assert answer not in (PLAIN, adapted.kserve("fixed"))
    assert adapted.openai("late") == answer


def test_adapters_and_plain_requests_of_both_doors_share_batches(adapted: Adapted) -> None:
    for seed, name in ((3, "third"), (4, "fourth")):
        adapter_files.write(adapted.folder / name, seed=seed)
    names = (None, "fixed", "third", "fourth")
    expected = {name: adapted.kserve(name) for name in names}
    assert len(set(expected.values())) == len(names)
    calls = [(door, name) for _ in range(5) for name in names for door in (adapted.kserve, adapted.openai)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda call: (call[1], call[0](call[1])), calls))
    assert set(answers) == set(expected.items())


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"rank": 32}, "LoRA rank 32 is greater than max_lora_rank 16"),
        ({"hidden": 256}, "it was made for another model"),
        ({"layers": 9}, "it has weights for layer 4, but the model has layers 0 to 3"),
        ({"module": "mlp.nonsense"}, "vLLM cannot load it"),
        ({"peft_type": "IA3"}, "its peft_type is 'IA3'"),
        ({"use_dora": True}, "does not yet support DoRA"),
        ({"r": "many"}, "adapter_config.json has a value of a wrong type"),
    ],
    ids=["rank", "shape", "layers", "module", "kind", "feature", "type"],
)
def test_adapter_that_does_not_fit_is_refused_at_both_doors(
    adapted: Adapted, config: dict[str, Any], why: str, request: pytest.FixtureRequest
) -> None:
    name = f"bad-{request.node.callspec.id}"
    adapter_files.write(adapted.folder / name, **config)
    for _ in range(2):  # a second time nothing may be taken for loaded
        assert why in adapted.kserve(name)
    at_openai = adapted.openai(name)
    assert why in at_openai or "could not be loaded" in at_openai


def test_half_copied_adapter_is_refused_until_it_is_whole(adapted: Adapted) -> None:
    weights = adapter_files.write(adapted.folder / "slow", seed=5) / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:5000])
    assert "adapter_model.safetensors cannot be read, or not to its end" in adapted.kserve("slow")
    weights.write_bytes(whole)
    assert "lora_name" not in adapted.kserve("slow")


def test_adapter_that_changes_or_goes_away_keeps_the_engine(adapted: Adapted) -> None:
    adapter_files.write(adapted.folder / "moving", seed=6)
    answer = adapted.kserve("moving")
    assert adapted.openai("moving") == answer
    shutil.rmtree(adapted.folder / "moving")
    assert "there is no such adapter" in adapted.kserve("moving")
    for name in ("after-one", "after-two"):
        adapter_files.write(adapted.folder / name, seed=8)
        adapted.kserve(name)  # now "moving" is out of the engine's memory
    assert adapted.openai("moving") == answer  # vLLM's server remembers it, and the engine reads it again
    adapter_files.write(adapted.folder / "moving", seed=6)
    assert adapted.kserve("moving") == answer  # put back as it was
    shutil.rmtree(adapted.folder / "moving")
    adapter_files.write(adapted.folder / "moving", seed=7)
    changed = adapted.kserve("moving")
    assert changed != answer and "its files have changed since it was first used" in changed


@pytest.mark.parametrize("name", ["../named", "late/../late", "/etc", ".", "..", "a" * 300])
def test_name_cannot_leave_the_folder(adapted: Adapted, name: str) -> None:
    assert "there is no such adapter" in adapted.kserve(name)
    assert "does not exist" in adapted.openai(name)


def test_openai_server_loads_no_other_folder(adapted: Adapted) -> None:
    wanted = {"lora_name": "other", "lora_path": str(adapted.folder / "late")}
    answer = httpx.post(f"{adapted.served.openai_url}/load_lora_adapter", json=wanted, timeout=30)
    assert answer.status_code == 404

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

sys.path.insert(0, str(Path(__file__).parent))

import triton_fakes

sys.modules.setdefault("triton_python_backend_utils", triton_fakes.module())

# What follows wants that module.
from small_host import DEADLINE_S, Host  # noqa: E402

from trident.protocol.spec import StubSpec  # noqa: E402
from trident.triton.stub.engine import Engine  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    path = tmp_path_factory.mktemp("t") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture
def host(tmp_path: Path, tokenizer_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, tokenizer_path)
    yield host
    host.close()


@pytest.fixture
def engine(host: Host, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(
        StubSpec(relays=[host.address], sockets_dir=str(tmp_path), start_timeout_s=5, response_share=1, defaults={}),
        "generate_0_0",
    )
    assert engine.wait_until_ready(DEADLINE_S)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def ids(tokenizer_path: Path) -> Callable[[str], list[int]]:
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    return lambda text: list(tokenizer.encode(text).ids)

"""What a stub spends on a token by itself: receiving, decoding, turning into text. Nothing is sent to Triton.

python benchmarks/stub_work.py
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import zmq
from servers import MODEL
from tokenizers import Tokenizer

from trident.protocol import sockets
from trident.protocol.messages import VERSION, Accepted, Delta, EngineReady, FromStub, Hello, Submit, Tokens
from trident.protocol.spec import StubSpec
from trident.triton.stub.engine import Engine
from trident.triton.stub.piece import Piece

STREAMS, STEPS = 64, 2000
LENGTH = 1


class _Silent:
    """An answer that only notes the end."""

    wants_progress = True

    def __init__(self, ended: threading.Semaphore) -> None:
        self._ended = ended

    def accepted(self, num_prompt_tokens: int) -> None:
        """Nothing."""

    def progress(self, pieces: list[Piece]) -> None:
        """Nothing."""

    def embedded(self, embedding: list[float]) -> None:
        """Nothing."""

    def is_cancelled(self) -> bool:
        return False

    def finish(self, pieces: list[Piece], reasons: list[str]) -> None:
        self._ended.release()

    def fail(self, code: str, message: str) -> None:
        raise AssertionError(message)


def measure_us() -> float:
    """CPU µs of the stub's thread per token, 64 streams, one message a step."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    ids = tokenizer.encode("The capital of France is Paris. 床前明月光，疑是地上霜。 " * 20).ids
    context: zmq.Context[Any] = zmq.Context()
    codec: sockets.Codec[FromStub] = sockets.Codec(FromStub)
    with tempfile.TemporaryDirectory(prefix="tb") as folder:
        relay = sockets.address(Path(folder), "relay.sock")
        inbound = sockets.pull(context, relay)
        spec = StubSpec(relays=[relay], sockets_dir=folder, start_timeout_s=5, response_share=1.0, defaults={})
        engine = Engine(spec, "bench")
        hello = codec.decode(inbound.recv_multipart()[1])
        assert isinstance(hello, Hello)
        outbound = sockets.push(context, queue_unconnected=True)
        outbound.connect(hello.address)
        send = lambda message: sockets.send(outbound, codec.encode(message))  # noqa: E731
        send(EngineReady(VERSION, 1, relay, "m", 9999, 1, str(MODEL / "tokenizer.json")))
        assert engine.wait_until_ready(10)
        ended = threading.Semaphore(0)
        for _ in range(STREAMS):
            engine.submit(_Silent(ended), request_id="r", prompt="p", prompt_token_ids=None, sampling={})
            submit = codec.decode(inbound.recv_multipart()[1])
            assert isinstance(submit, Submit)
            send(Accepted(submit.id, ids[:20], 1, [], False, 0, True, True, True))
        frames = [
            codec.encode(
                Tokens(
                    [
                        Delta(stream + 1, [ids[(step + stream) % len(ids)]], LENGTH if step == STEPS - 1 else None)
                        for stream in range(STREAMS)
                    ]
                )
            )
            for step in range(STEPS)
        ]
        clock = time.pthread_getcpuclockid(engine._thread.ident)
        begun_s = time.clock_gettime(clock)
        for frame in frames:
            sockets.send(outbound, frame)
            time.sleep(0.002)  # an engine's pace: the stub is to keep up, not to join
        for _ in range(STREAMS):
            assert ended.acquire(timeout=30)
        spent_s = time.clock_gettime(clock) - begun_s
        engine.close()
        inbound.close()
        outbound.close(linger=0)
        context.destroy(linger=0)
    return 1e6 * spent_s / (STREAMS * STEPS)


if __name__ == "__main__":
    print(f"stub's own work: {measure_us():.1f} µs per token")

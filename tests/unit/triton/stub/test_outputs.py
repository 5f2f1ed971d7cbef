from __future__ import annotations

import json
import math

from triton_fakes import piece

from trident.protocol.messages import Logprob
from trident.triton.stub.contract import RETURNS
from trident.triton.stub.outputs import Outputs
from trident.triton.stub.piece import Piece

BOTH = [
    Piece("a", 2, [[Logprob(5, -0.5, 1, "a"), Logprob(6, -1.5, 2, "é")], [Logprob(7, -0.25, 1, "")]], -0.75, "", ""),
    Piece("b", 1, None, None, "", ""),
]


def test_only_what_is_wanted_is_sent() -> None:
    assert set(Outputs(set()).response([piece("x")], None).tensors) == {"text_output"}
    assert set(Outputs({"logprobs"}).response([piece("x")], None).tensors) == {"text_output", "logprobs"}
    chat = Outputs(set(), is_chat=True).response([piece("x")], None).tensors
    assert set(chat) == {"text_output", "reasoning", "tool_calls"}


def test_arrays_have_one_element_for_each_sequence() -> None:
    outputs = Outputs(set(RETURNS), prefix="> ")
    outputs.num_input_tokens = 9
    sent = outputs.response(BOTH, ["stop", "length"]).tensors
    assert sent["text_output"] == [b"> a", b"> b"]
    assert sent["finish_reason"] == [b"stop", b"length"]
    assert sent["num_output_tokens"] == [2, 1]
    assert sent["num_input_tokens"] == 9
    assert sent["cumulative_logprob"][0] == -0.75 and math.isnan(sent["cumulative_logprob"][1])
    first, second = (json.loads(text) for text in sent["logprobs"])
    assert first[0] == {
        "5": {"logprob": -0.5, "rank": 1, "decoded_token": "a"},
        "6": {"logprob": -1.5, "rank": 2, "decoded_token": "é"},
    }
    assert list(first[1]) == ["7"] and second is None


def test_finish_reason_is_none_in_words_while_it_goes_on() -> None:
    assert Outputs({"finish_reason"}).response(BOTH, None).tensors["finish_reason"] == [b"None", b"None"]


def test_embedding_is_a_json_list_and_has_no_output_tokens() -> None:
    outputs = Outputs(set(RETURNS))
    outputs.num_input_tokens = 4
    sent = outputs.embedding([0.5, -1.0]).tensors
    assert json.loads(sent["text_output"][0]) == [0.5, -1.0]
    assert (sent["num_input_tokens"], sent["num_output_tokens"]) == (4, [0])

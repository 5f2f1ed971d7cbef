"""The demo model's shape: Qwen3 at two million weights."""

from __future__ import annotations

from tokenizers import Tokenizer
from tools.demo_model.tokenizer import END_OF_TEXT, MODEL_MAX_LENGTH_TOKENS, TURN_END, VOCABULARY_TOKENS
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM


def new_model(tokenizer: Tokenizer) -> Qwen3ForCausalLM:
    """A model with fresh random weights and greedy generation defaults that end at the tokenizer's markers."""
    turn_end_id, end_of_text_id = tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT)
    config = Qwen3Config(
        vocab_size=VOCABULARY_TOKENS,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,  # vLLM's CPU attention knows only some head sizes; 64 is one of them everywhere
        max_position_embeddings=MODEL_MAX_LENGTH_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        attention_dropout=0.0,
        use_cache=True,
        bos_token_id=None,
        eos_token_id=turn_end_id,
        pad_token_id=end_of_text_id,
    )
    model = Qwen3ForCausalLM(config)
    # Without sampling values here, a request that names none is answered greedily by transformers; vLLM's own
    # default temperature still holds there, so a test that needs one answer asks for temperature 0.
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=[turn_end_id, end_of_text_id], pad_token_id=end_of_text_id
    )
    return model

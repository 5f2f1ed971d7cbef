"""Arguments of vLLM that are gone, and those that mean nothing to its CPU build: what they were, what to use now."""

from __future__ import annotations

from typing import NamedTuple


class Explained(NamedTuple):
    """``why`` says what it was and why it is not there, ``now`` what takes its place."""

    why: str
    now: str


LEAVE_OUT = "leave it out"
_BLOCK_MANAGER = Explained("it chose between two block managers, and vLLM has had one since V1", LEAVE_OUT)
_MULTI_STEP = Explained(
    "it made several steps for each scheduling; steps now overlap with their scheduling, which is on by itself",
    LEAVE_OUT,
)
_PREEMPTION = Explained(
    "preempted requests are always computed anew since V1: prefix caching makes that cheap", LEAVE_OUT
)
_SPECULATIVE = Explained(
    "what speculative decoding needs stands in one map now",
    'write --speculative-config \'{"model": "…", "num_speculative_tokens": N}\'',
)
_ROPE = Explained(
    "what belongs to the model's configuration is overridden in one place now",
    "write --hf-overrides '{\"rope_parameters\": {…}}'",
)
_CAPTURE = Explained(
    "CUDA graphs were captured up to a length of sequences, and are up to a number of sequences now",
    "write --max-cudagraph-capture-size N, or leave it out",
)
_PROMPT_ADAPTER = Explained("vLLM has given up prompt adapters", "use LoRA: --enable-lora, or Trident's --lora-dir")
_LORA = Explained(
    "vLLM has given up that kind of LoRA", "use plain LoRA adapters: --enable-lora, or Trident's --lora-dir"
)
_TOKENIZER_POOL = Explained("tokenizers run beside the engine by themselves since V1", LEAVE_OUT)

REMOVED = {
    "swap_space": Explained(
        "it was GiB of the machine's memory for the KV cache of preempted requests; since V1 vLLM computes that anew",
        "--kv-offloading-size GIB keeps KV cache beside the GPU's memory; on a CPU leave it out",
    ),
    "preemption_mode": _PREEMPTION,
    "num_lookahead_slots": _MULTI_STEP,
    "scheduler_delay_factor": Explained("prompts and tokens share each step since V1, so none has to wait", LEAVE_OUT),
    "cpu_offload": Explained("it has another name", "write --cpu-offload-gb GIB"),
    "use_v2_block_manager": _BLOCK_MANAGER,
    "use_v2": _BLOCK_MANAGER,
    "num_scheduler_steps": _MULTI_STEP,
    "multi_step_stream_outputs": _MULTI_STEP,
    "disable_async_output_proc": _MULTI_STEP,
    "device": Explained("the device follows from vLLM's build", "--engine-build cpu or cuda"),
    "worker_use_ray": Explained("it has another name", "write --distributed-executor-backend ray"),
    "disable_log_requests": Explained(
        "it kept requests out of the log, where they are no longer unless --enable-log-requests is given", LEAVE_OUT
    ),
    "max_seq_len_to_capture": _CAPTURE,
    "max_context_len_to_capture": _CAPTURE,
    "cuda_graph_sizes": Explained("it has another name", "write --cudagraph-capture-sizes N N …"),
    "speculative_model": _SPECULATIVE,
    "num_speculative_tokens": _SPECULATIVE,
    "speculative_draft_tensor_parallel_size": _SPECULATIVE,
    "ngram_prompt_lookup_max": _SPECULATIVE,
    "guided_decoding_backend": Explained(
        "guided decoding is called structured outputs now", "write --structured-outputs-config.backend NAME"
    ),
    "enable_reasoning": Explained(
        "a reasoning parser alone says it now", "write --reasoning-parser NAME, without this"
    ),
    "rope_scaling": _ROPE,
    "rope_theta": _ROPE,
    "task": Explained("it said two things that are apart now", "write --runner pooling, --convert embed or classify"),
    "override_pooler_config": Explained("it has another name", "write --pooler-config '{…}'"),
    "tokenizer_pool_size": _TOKENIZER_POOL,
    "tokenizer_pool_type": _TOKENIZER_POOL,
    "lora_extra_vocab_size": _LORA,
    "long_lora_scaling_factors": _LORA,
    "qlora_adapter_name_or_path": _LORA,
    "enable_prompt_adapter": _PROMPT_ADAPTER,
    "max_prompt_adapters": _PROMPT_ADAPTER,
    "quantization_param_path": Explained(
        "scales of an FP8 KV cache come with the model's weights now", "--kv-cache-dtype fp8 alone"
    ),
    "disable_mm_preprocessor_cache": Explained("a size of zero says it now", "write --mm-processor-cache-gb 0"),
    "max_num_partial_prefills": Explained("long prompts give way by themselves since V1", LEAVE_OUT),
}

_WEIGHTS_ARE_THERE = "it moves weights out of a GPU's memory into the machine's, where the CPU build has them anyway"
GPU_ONLY = {
    "kv_offloading_size": Explained(
        "it keeps KV cache of a GPU in the machine's memory, where the CPU build has all of it anyway",
        "leave it out; for a larger cache: --kv-cache-memory-bytes N",
    ),
    "cpu_offload_gb": Explained(_WEIGHTS_ARE_THERE, LEAVE_OUT),
    "offload_group_size": Explained(_WEIGHTS_ARE_THERE, LEAVE_OUT),
}
"""Refused with the CPU build unless they are 0, their default: vLLM would end, or do nothing, without helpful words."""

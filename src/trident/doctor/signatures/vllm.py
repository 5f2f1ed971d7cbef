"""vLLM 0.32, torch and CUDA."""

from __future__ import annotations

from trident.doctor.signatures.signature import Signature, signature

SIGNATURES: tuple[Signature, ...] = (
    signature(
        "vllm.model_length",
        r"max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len \(\w+=(?P<most>\d+)",
        "max_model_len {asked} is more than the model can",
        "--max-model-len {most}",
        "the model's config.json allows {most}",
    ),
    signature(
        "vllm.kv_cache_small",
        r"max seq len \((?P<length>\d+)\), \((?P<needed>[\d.]+) GiB KV cache is needed, "
        r".*?memory \((?P<there>[\d.]+) GiB\)\.(?: .*?maximum model length is (?P<fits>\d+))?",
        "The KV cache is too small for one sequence of {length} tokens",
        "--max-model-len {fits}, or more memory: --gpu-memory-utilization, --kv-cache-memory-bytes",
        "{needed} GiB are needed, {there} GiB are there",
    ),
    signature(
        "vllm.kv_cache_none",
        r"No available memory for the cache blocks",
        "Weights and working memory leave nothing for the KV cache",
        "raise --gpu-memory-utilization (at most 0.95) or --kv-cache-memory-bytes, lower --max-num-batched-tokens, "
        "or take a smaller or quantised model",
    ),
    signature(
        "vllm.kv_cache_large",
        r"on kv cache allocation is less than requested memory for kv \((?P<asked>[\d.]+) GiB\)",
        "The KV cache is to be larger than the memory that is free: {asked} GiB",
        "lower --kv-cache-memory-bytes (VLLM_CPU_KVCACHE_SPACE), or leave it out: Trident then takes what is needed",
    ),
    signature(
        "vllm.gpu_memory_taken",
        r"Free memory on device \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is less than desired GPU "
        r"memory utilization \((?P<share>[\d.]+)",
        "Somebody else holds GPU memory: {free} of {total} GiB are free",
        "trident doctor names who; end it, or lower --gpu-memory-utilization",
        "vLLM was to take {share} of it",
        seen="text",
    ),
    signature(
        "vllm.cpu_memory_taken",
        r"Available memory on node \d+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is less than desired CPU "
        r"memory utilization \((?P<share>[\d.]+)",
        "Memory is short: {free} of {total} GiB are free",
        "leave out --gpu-memory-utilization (it is a share of the machine's memory here), or give "
        "--kv-cache-memory-bytes",
        "vLLM was to take {share} of it",
    ),
    signature(
        "vllm.gpu_out_of_memory",
        r"(?:torch\.(?:cuda\.)?OutOfMemoryError|CUDA out of memory|CUDA error: out of memory|cuMemAlloc failed)",
        "The GPU's memory is used up",
        "lower --gpu-memory-utilization (others share the GPU?), --max-num-seqs or --max-model-len; "
        "or take AWQ, GPTQ or FP8 weights",
    ),
    signature(
        "vllm.remote_code",
        r"contains custom code which must be executed to correctly load the model",
        "The model brings code of its own",
        "read that code in the model's folder; if you trust it: --trust-remote-code",
        "nothing of it is run without your consent",
    ),
    signature(
        "vllm.architecture",
        r"Model architectures \[(?P<names>[^\]]*)\] are not supported",
        "vLLM knows no model of the architecture {names}",
        "correct architectures in config.json if it was changed; else choose another model, or a newer vLLM",
        "it is in neither vLLM's list nor Transformers'",
    ),
    signature(
        "vllm.model_type",
        r"model type `(?P<type>[^`]+)` but Transformers does not recognize this architecture",
        "Transformers does not know the model type {type}",
        "correct model_type in config.json if it was changed; --trust-remote-code if the model brings its code; "
        "else a newer vLLM",
    ),
    signature(
        "vllm.weights_damaged",
        r"SafetensorError: |parse_safetensors_file_metadata",
        "A weights file is damaged or cut short",
        "fetch it again: trident pull MODEL; in a git clone: git lfs pull",
    ),
    signature(
        "vllm.weights_missing",
        r"Cannot find any model weights with `(?P<folder>[^`]+)`",
        "{folder} holds no weights",
        "trident pull MODEL fetches what is missing",
    ),
    signature(
        "vllm.weights_shape",
        r"start \(\d+\) \+ length \(\d+\) exceeds dimension size|AssertionError: Tried to load weights of size|"
        r"AssertionError: .*Attempted to load weight|size mismatch for|The size of tensor a \(\d+\) must match|"
        r"There is no module or parameter named|not initialized from checkpoint",
        "The weights do not fit config.json",
        "take config.json and weights of one and the same revision: trident pull MODEL --revision R",
    ),
    signature(
        "vllm.quantization_unknown",
        r"Unknown quantization method: (?P<method>[^\s.]+)",
        "vLLM has no quantisation {method}",
        "take AWQ, GPTQ or FP8 weights of the model, or unquantised ones",
        "config.json names it as quant_method",
    ),
    signature(
        "vllm.quantization_config",
        r"Cannot find the config file for (?P<method>\w+)",
        "--quantization {method}, and the model is not quantised so",
        "leave out --quantization: vLLM reads it from the model",
    ),
    signature(
        "vllm.quantization_gpu",
        r"uantization (?:method|scheme).*is not supported for the current GPU\. Minimum capability: (?P<least>\d+)",
        "This GPU is too old for the model's quantisation",
        "take unquantised weights or another quantisation",
        "it needs compute capability {least}",
        seen="text",
    ),
    signature(
        "vllm.bfloat16",
        r"Bfloat16 is only supported on GPUs with compute capability of at least 8\.0\. Your (?P<gpu>.+?) GPU",
        "{gpu} has no bfloat16",
        "--dtype half",
        seen="text",
    ),
    signature(
        "vllm.parallel_heads",
        r"number of attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel size \((?P<size>\d+)\)",
        "{heads} attention heads cannot be shared by {size} GPUs",
        "choose a --tensor-parallel-size that divides {heads}",
    ),
    signature(
        "vllm.too_few_gpus",
        r"World size \((?P<size>\d+)\) is larger than the number of available GPUs \((?P<there>\d+)\)",
        "{size} GPUs are asked for, {there} are there",
        "--tensor-parallel-size {there}, or show more of them (CUDA_VISIBLE_DEVICES)",
        seen="text",
    ),
    signature(
        "vllm.batched_tokens",
        r"max_num_batched_tokens \((?P<tokens>\d+)\) must be greater than or equal to max_num_seqs \((?P<seqs>\d+)\)",
        "--max-num-batched-tokens {tokens} is less than --max-num-seqs {seqs}",
        "raise the first to at least {seqs}, or lower the second",
    ),
    signature(
        "vllm.old_argument",
        r"got an unexpected keyword argument '(?P<name>\w+)'",
        "This vLLM has no argument {name}",
        "leave it out; swap_space is --kv-offloading-size today, use_v2 and others have no successor",
    ),
    signature(
        "vllm.lora_rank",
        r"LoRA rank (?P<rank>\d+) is greater than max_lora_rank (?P<most>\d+)",
        "A LoRA adapter has rank {rank}, and max_lora_rank is {most}",
        "--max-lora-rank {rank} (1, 8, 16, 32, 64, 128, 256, 320 or 512)",
        seen="text",
    ),
    signature(
        "vllm.value",
        r"Input should be (?P<choices>.+?) \[type=literal_error, input_value=(?P<value>[^,]+),",
        "An argument of vLLM has the value {value}, which it does not know",
        "use one of: {choices}",
        general=True,
    ),
    signature(
        "vllm.model_folder",
        r"Invalid repository ID or local directory specified: '(?P<model>[^']*)'",
        "{model} is neither a model's folder nor an id",
        "give a folder with config.json in it, or an id like Qwen/Qwen3-0.6B",
    ),
    signature(
        "vllm.offline",
        r"LocalEntryNotFoundError: |OfflineModeIsEnabled",
        "A file of the model is not on this machine, and the network may not be used",
        "trident pull MODEL, with a network; then start again",
    ),
    signature(
        "vllm.gated",
        r"GatedRepoError|Cannot access gated repo|401 Client Error",
        "The hub wants a token for the model",
        "accept the licence on the model's page, then set HF_TOKEN",
        seen="text",
    ),
    signature(
        "vllm.shadowed_triton",
        r"ModuleNotFoundError: No module named 'triton\.",
        "A folder called triton hides the Python package of that name",
        "start from another folder, or rename the folder triton in this one and on PYTHONPATH",
    ),
    signature(
        "vllm.tokenizer",
        r"(?:Can't load tokenizer|Couldn't instantiate the backend tokenizer|data did not match any variant of "
        r"untagged enum|KeyError: 'added_tokens'|Unable to load vocabulary|stat: path should be string.*NoneType)",
        "The model's tokenizer cannot be loaded",
        "fetch tokenizer.json and tokenizer_config.json again: trident pull MODEL",
    ),
    signature(
        "vllm.chat_template",
        r"supplied chat template path doesn't exist|supplied chat template string \(",
        "The chat template is not there",
        "correct --chat-template",
        seen="text",
    ),
    signature(
        "vllm.compiler",
        r"Failed to find C compiler|InvalidCxxCompiler|No working C\+\+ compiler found|fatal error: Python\.h",
        "Compiling a model's kernels wants a C/C++ compiler (and Python's headers)",
        "apt install gcc g++ python3-dev, or --enforce-eager",
    ),
    signature(
        "vllm.lscpu",
        r"Command 'lscpu [^']*' returned non-zero exit status",
        "vLLM asks the program lscpu for the machine's cores, and it is not on PATH or fails",
        "apt install util-linux; PATH must hold /usr/bin",
    ),
    signature(
        "cuda.driver_old",
        r"The NVIDIA driver on your system is too old \(found version (?P<version>\d+)\)",
        "NVIDIA's driver is too old for this torch",
        "update the driver to 580 or newer, or --engine-build cpu",
        seen="text",
    ),
    signature(
        "cuda.driver_missing",
        r"libcuda\.so\.1: cannot open shared object file|Found no NVIDIA driver on your system|"
        r"No CUDA GPUs are available|RuntimeError: Failed to infer device type",
        "No NVIDIA GPU or driver answers",
        "install the driver, unset CUDA_VISIBLE_DEVICES, start a container with --gpus all, or --engine-build cpu",
    ),
    signature(
        "cuda.kernel_image",
        r"no kernel image is available for execution on the device",
        "This GPU is too old for the build",
        "compute capability 7.5 or newer is needed; hide this GPU with CUDA_VISIBLE_DEVICES, or --engine-build cpu",
        seen="text",
    ),
    signature(
        "cuda.gpu_lost",
        r"uncorrectable ECC error|GPU has fallen off the bus|CUDA error: unspecified launch failure",
        "A GPU failed",
        "dmesg | grep -i xid; restart the machine; if it comes back, replace the GPU",
        seen="text",
    ),
    signature(
        "cuda.mismatch",
        r"(?:libcudart|libcublas|libnccl|libcudnn)\S*: cannot open shared object file|undefined symbol: \S*(?:cu|nccl)",
        "CUDA libraries in the environment do not match",
        "trident setup after rm of the environment's trident.json makes it anew: trident doctor --fix",
        seen="text",
    ),
    signature(
        "cuda.nccl",
        r"(?:ncclUnhandledCudaError|ncclSystemError|ncclInternalError|NCCL error)(?::? (?P<problem>.*))?",
        "GPUs cannot talk to one another (NCCL)",
        "NCCL_DEBUG=INFO says why; common: /dev/shm too small, NCCL_SOCKET_IFNAME wrong, peer access broken "
        "(NCCL_P2P_DISABLE=1)",
        seen="text",
    ),
    signature(
        "cuda.nvcc",
        r"Could not find nvcc|/nvcc: not found|nvcc.*No such file",
        "A kernel was to be compiled, and there is no nvcc",
        "install the CUDA toolkit, or choose another attention: --attention-backend FLASH_ATTN",
        seen="text",
    ),
    signature(
        "vllm.environment",
        r"(?:ImportError|OSError): (?P<part>lib\S+?): (?:cannot open shared object file|file too short|invalid ELF)"
        r"|ModuleNotFoundError: No module named '(?P<module>(?:vllm|torch|transformers)\b[^']*)'",
        "vLLM's environment is damaged",
        "trident doctor --fix, then trident setup: it is installed anew",
    ),
    signature(
        "vllm.engine",
        r"Engine core initialization failed\. See root cause above",
        "vLLM's engine did not start",
        "read what stands above that line: trident logs engine",
        general=True,
    ),
)

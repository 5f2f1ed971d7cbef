"""The hints in words."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str, str, str]] = {
    "gone": (
        "The server does not run any more.",
        "Start it again: trident serve. Its last words: trident logs supervisor.",
        "服务器已不在运行。",
        "重新启动：trident serve。最后的日志：trident logs supervisor。",
    ),
    "child": (
        "{child} is not ready: {why}.",
        "Requests wait or are refused until it is. See its log under Logs.",
        "{child} 未就绪：{why}。",
        "在它就绪之前，请求会等待或被拒绝。请在“日志”中查看它的日志。",
    ),
    "stuck": (
        "{running} requests run and no token has come for {s} s.",
        "One very long prompt on a slow machine looks like this too; an engine that is lost is restarted by itself.",
        "{running} 个请求在运行，但已有 {s} 秒没有新的 token。",
        "慢机器上的超长提示也会如此；失去响应的引擎会自动重启。",
    ),
    "burn_availability": (
        "Requests fail or are refused {burn} times as often as promised.",
        "Requests that were refused wait for room: see the other hints. Failures are in the engine's log.",
        "请求失败或被拒绝的频率是承诺值的 {burn} 倍。",
        "被拒绝说明容量不足：参见其他提示。失败原因见引擎日志。",
    ),
    "burn_ttft": (
        "First tokens take longer than {limit} s, {burn} times as often as promised.",
        "Look where the time goes: in the queue more room or fewer requests help, in prefill shorter prompts.",
        "首个 token 超过 {limit} 秒的频率是承诺值的 {burn} 倍。",
        "看时间花在哪里：排队则增加容量或减少请求，预填充则缩短提示。",
    ),
    "burn_tpot": (
        "Tokens take longer than {limit} s each, {burn} times as often as promised.",
        "Fewer requests at once make each faster: --max-num-seqs. Long prompts between tokens: lower "
        "--max-num-batched-tokens.",
        "每个 token 超过 {limit} 秒的频率是承诺值的 {burn} 倍。",
        "减少并发可以让每个请求更快：--max-num-seqs。若长提示打断解码，请降低 --max-num-batched-tokens。",
    ),
    "batch_full": (
        "The batch is full: {running} of {max} run and {waits} wait, with {kv} of the KV cache in use.",
        "While there is KV cache left, a larger --max-num-seqs serves more at once; each becomes a little slower.",
        "批次已满：{max} 个名额中 {running} 个在运行，{waits} 个在等待，KV 缓存已用 {kv}。",
        "若 KV 缓存还有余量，增大 --max-num-seqs 可同时服务更多请求；单个请求会略慢。",
    ),
    "kv_full": (
        "The KV cache is the bound: {kv} in use, {running} run and {waits} wait.",
        "More memory for it (--gpu-memory-utilization), an fp8 cache (--kv-cache-dtype fp8), or shorter answers.",
        "瓶颈是 KV 缓存：已用 {kv}，{running} 个在运行，{waits} 个在等待。",
        "给它更多内存（--gpu-memory-utilization）、使用 fp8 缓存（--kv-cache-dtype fp8），或缩短回答。",
    ),
    "queue": (
        "{share} of a request's time is waiting in the queue; {waits} wait now.",
        "Requests come in bursts or long prompts hold the step: a larger --max-num-batched-tokens admits faster.",
        "请求有 {share} 的时间在排队；现在有 {waits} 个在等待。",
        "请求成批到来或长提示占住步骤：增大 --max-num-batched-tokens 可更快接纳。",
    ),
    "preemptions": (
        "{n} preemptions a minute: requests lose their KV cache and are computed again.",
        "Lower --max-num-seqs or give the KV cache more memory ({kv} in use).",
        "每分钟 {n} 次抢占：请求失去 KV 缓存后要重新计算。",
        "降低 --max-num-seqs，或给 KV 缓存更多内存（已用 {kv}）。",
    ),
    "refused": (
        "{rate} requests a second are refused because the queue is full or the wait would be too long.",
        "This is overload: add engines, or let clients ask less. docs/overload.md has the settings.",
        "每秒有 {rate} 个请求因队列已满或等待过长而被拒绝。",
        "这是过载：增加引擎，或让客户端少发请求。设置见 docs/overload.md。",
    ),
    "throttled": (
        "GPU {gpu} is throttled: {reason}.",
        "Look after its cooling or power limit: nvidia-smi -q -d PERFORMANCE.",
        "GPU {gpu} 被降频：{reason}。",
        "检查散热或功率上限：nvidia-smi -q -d PERFORMANCE。",
    ),
    "doors": (
        "The GPU works {gpu} of the time, and one process in front of it uses {cores} cores: the front is the bound.",
        "More --stubs at Triton's doors, or spread clients over both doors.",
        "GPU 只有 {gpu} 的时间在工作，而前端的一个进程用了 {cores} 个核：瓶颈在前端。",
        "增加 Triton 侧的 --stubs，或把客户端分散到两个入口。",
    ),
    "gpu_waits": (
        "The GPU works {gpu} of the time though requests run.",
        "A small model spends its time between steps; asynchronous scheduling and CUDA graphs (no enforce_eager) help.",
        "虽然有请求在运行，GPU 只有 {gpu} 的时间在工作。",
        "小模型的时间花在步骤之间；异步调度和 CUDA graph（不要 enforce_eager）会有帮助。",
    ),
    "prefill": (
        "{share} of the engine's time for a request is its prompt ({tokens} tokens on average).",
        "That is right for long prompts and short answers; chunked prefill keeps others going meanwhile.",
        "请求在引擎中 {share} 的时间用于提示（平均 {tokens} 个 token）。",
        "长提示短回答本该如此；分块预填充可让其他请求同时进行。",
    ),
    "prefill_no_reuse": (
        "{share} of the engine's time for a request is its prompt ({tokens} tokens), and {hits} of it is reused.",
        "What all prompts share should stand first, word by word the same; a time or name in front spoils it.",
        "请求在引擎中 {share} 的时间用于提示（{tokens} 个 token），其中只有 {hits} 被复用。",
        "把所有提示共有的内容一字不差地放在最前面；开头的时间或名字会使缓存失效。",
    ),
    "others": (
        "All cores are in use, {share} of them by programs that are not this server's.",
        "Stop them, or give the server cores of its own: taskset, cgroups.",
        "所有 CPU 核都在用，其中 {share} 被不属于此服务器的程序占用。",
        "停掉它们，或给服务器专用的核：taskset、cgroups。",
    ),
    "memory": (
        "The machine has {free} GiB of memory left.",
        "The kernel kills the largest process when there is none: stop something else.",
        "机器只剩 {free} GiB 内存。",
        "内存耗尽时内核会杀掉最大的进程：请停掉其他程序。",
    ),
    "shm": (
        "/dev/shm has {free} MiB left, which Triton's stubs need for each request.",
        "Enlarge it: mount -o remount,size=1G /dev/shm.",
        "/dev/shm 只剩 {free} MiB，而 Triton 的 stub 处理每个请求都需要它。",
        "扩大它：mount -o remount,size=1G /dev/shm。",
    ),
    "source": (
        "The numbers of {source} are missing on this page now.",
        "It did not answer in time; /metrics shows which sources did.",
        "此页面目前缺少 {source} 的数据。",
        "它没有及时回应；/metrics 会显示哪些来源有回应。",
    ),
}


def filled(id: str, values: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is seen and what helps, each by language."""
    what, helps, what_zh, helps_zh = (text.format(**values) for text in TEXTS[id])
    return {"en": what, "zh": what_zh}, {"en": helps, "zh": helps_zh}

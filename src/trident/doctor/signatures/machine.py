"""Causes that lie in the machine and show in any process' log."""

from __future__ import annotations

from trident.doctor.signatures.signature import Signature, signature

SIGNATURES: tuple[Signature, ...] = (
    signature(
        "machine.descriptors",
        r"(?i)^(?!.*can cause fd limit errors).*(?:too many open files|EMFILE)",  # vLLM warns of it in these words
        "A process has used up its open files",
        "ulimit -n 65536 before trident serve, or LimitNOFILE=65536 (trident service sets it)",
    ),
    signature(
        "machine.threads",
        r"can't start new thread|pthread_create failed|what\(\):\s+Resource temporarily unavailable",
        "No more threads could be made",
        "raise ulimit -u, the container's --pids-limit, or its memory",
    ),
    signature(
        "machine.disk_full",
        r"No space left on device",
        "A disk is full",
        "df -h; free some space, or move TRIDENT_STATE_DIR, TRIDENT_DATA_DIR or HF_HOME",
    ),
    signature(
        "machine.memory",
        r"(?i)DefaultCPUAllocator: can't allocate memory|Cannot allocate memory",
        "The machine's memory is used up",
        "free memory, lower --kv-cache-memory-bytes or --max-model-len, or raise the container's limit",
    ),
    signature(
        "machine.killed",
        r"killed by SIGKILL|failed core proc\(s\): \{.*-9\}|oom-kill|Out of memory: Killed process",
        "A process was killed from outside, most often for want of memory",
        "dmesg | grep -i 'killed process'; free memory, or lower --kv-cache-memory-bytes, --gpu-memory-utilization",
        seen="text",
    ),
    signature(
        "machine.instruction",
        r"(?i)illegal instruction|killed by SIGILL",
        "This CPU lacks instructions that a program was compiled for",
        "vLLM's CPU build needs AVX2 (check: lscpu); use another machine",
        seen="text",
    ),
    signature(
        "machine.glibc",
        r"version `(?P<version>GLIBC(?:XX)?_[\d.]+)' not found",
        "The C or C++ library here is too old: {version} is missing",
        "use a newer Linux (Debian 10, Ubuntu 20.04, RHEL 8 or newer); in conda: conda install libstdcxx-ng",
        seen="text",
    ),
    signature(
        "machine.permission",
        r"PermissionError: \[Errno 13\] Permission denied: '(?P<file>[^']+)'",
        "This user may not use {file}",
        "ls -l {file}; chmod -R u+rwX it, or chown it to the user that serves",
    ),
    signature(
        "machine.address",
        r"(?i)\[Errno 98\].*\(?'?(?P<where>[\d.:]+)?.*address already in use",
        "An address is taken by another process",
        "ss -ltnp shows who; stop that, or choose other ports (--openai-port, --http-port, …)",
    ),
)

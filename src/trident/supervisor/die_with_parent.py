"""Becomes a command that the kernel kills as soon as the process that started it ends.

    python -I -S die_with_parent.py PARENT_PID [--cpus=N,N...] COMMAND [ARGUMENT...]

A wrapper that execs rather than a ``preexec_fn``: the supervisor has threads, and code between fork and exec may
deadlock there. The signal is sent when the parent's *thread* ends, so children are started from the main thread.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_EXECUTE = 127
CPUS = "--cpus="
"""Before those that the command, and all that it starts, may use."""


def main() -> None:
    """Never returns."""
    parent_pid, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"error: prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:
        sys.exit(f"error: process {parent_pid}, which started this one, has ended")
    if command[0].startswith(CPUS):
        cpus = command.pop(0)[len(CPUS) :].split(",")
        try:
            os.sched_setaffinity(0, map(int, cpus))
        except OSError as error:
            sys.stderr.write(f"warning: {command[0]} may run on any CPU: {error.strerror}\n")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"error: cannot run {command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_EXECUTE)


if __name__ == "__main__":
    main()

"""What a worker gives up before it meets a script: descriptors, files, processes, memory, system calls.

Loaded by `worker.py` by its path; imports only the standard library. Each layer that does not hold on this machine is
reported with its reason instead of being passed over. Linux has them all; elsewhere the process and its resource
limits remain.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable

ADDRESS_SPACE_BYTES = 1024 * 1024 * 1024

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050001  # the last: fails with EPERM
PROT_EXEC = 4

# name -> number on x86-64, on arm64. What the allocator, the interpreter's locks, its signals and two pipes need.
SYSCALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "exit": (60, 93),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "exit_group": (231, 94),
    "tgkill": (234, 131),
    "getrandom": (318, 278),
}
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


def confine(read_from: int, write_to: int, parent: int) -> tuple[list[str], dict[str, str]]:
    """Give up everything but these two descriptors. Returns the layers that hold, and why the others do not."""
    layers, inactive = ["process"], {}
    os.closerange(max(read_from, write_to) + 1, 4096)
    limit_resources()
    layers.append("rlimits")
    if not sys.platform.startswith("linux"):
        why = f"{sys.platform} has no such call"
        return layers, dict.fromkeys(("dies_with_parent", "no_new_privileges", "seccomp"), why)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("dies_with_parent", lambda: die_with(parent)),
        ("no_new_privileges", lambda: prctl(PR_SET_NO_NEW_PRIVS, 1)),
        ("undumpable", lambda: prctl(PR_SET_DUMPABLE, 0)),
        ("seccomp", lambda: filter_system_calls(read_from, write_to)),
    ]
    for name, step in steps:
        try:
            step()
        except (OSError, AttributeError) as error:
            inactive[name] = str(error)
        else:
            layers.append(name)
    return layers, inactive


def limit_resources() -> None:
    """No core files, no bytes into files, no new descriptors, no new processes, one gigabyte of address space."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, 0)
    lower(resource.RLIMIT_NOFILE, 0)
    for name in ("RLIMIT_NPROC", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE"):
        if hasattr(resource, name):
            lower(getattr(resource, name), 0)
    if sys.platform.startswith("linux"):
        lower(resource.RLIMIT_AS, ADDRESS_SPACE_BYTES)


def lower(which: int, to: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        to = min(to, hard)
    resource.setrlimit(which, (to, to))


def prctl(option: int, value: int, pointer: object = None) -> None:
    """OSError where the kernel says no."""
    libc = ctypes.CDLL(None, use_errno=True)
    third = pointer if pointer is not None else ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), third, ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with(parent: int) -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before we asked to be told.
        os._exit(1)


def filter_system_calls(read_from: int, write_to: int) -> None:
    """Allow the calls listed, on our two descriptors and without making memory executable; the others fail."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        raise OSError(f"no list of system calls for {machine}")
    program = bytearray()
    for code, if_true, if_false, value in filter_program(*ARCHITECTURES[machine], read_from, write_to):
        program += struct.pack("HBBI", code, if_true, if_false, value)
    held = ctypes.create_string_buffer(bytes(program), len(program))
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    described = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(held)))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described)


def filter_program(architecture: int, column: int, read_from: int, write_to: int) -> list[tuple[int, int, int, int]]:
    """Classic BPF: (code, jump if true, jump if false, value) for each instruction."""
    load, equal, some_bits, answer = 0x20, 0x15, 0x45, 0x06
    number_at, architecture_at, argument_at = 0, 4, 16

    def low_word(argument: int) -> tuple[int, int, int, int]:
        return (load, 0, 0, argument_at + 8 * argument)

    program = [
        (load, 0, 0, architecture_at),
        (equal, 1, 0, architecture),
        (answer, 0, 0, KILL),
    ]
    first_argument = {"read": read_from, "write": write_to, "tgkill": os.getpid()}
    for name, numbers in SYSCALLS.items():
        program.append((load, 0, 0, number_at))
        if name in first_argument:
            program.append((equal, 0, 4, numbers[column]))
            program.append(low_word(0))
            program.append((equal, 0, 1, first_argument[name]))
            program.append((answer, 0, 0, ALLOW))
            program.append((answer, 0, 0, REFUSE))
        elif name in ("mmap", "mprotect"):
            program.append((equal, 0, 4, numbers[column]))
            program.append(low_word(2))
            program.append((some_bits, 1, 0, PROT_EXEC))
            program.append((answer, 0, 0, ALLOW))
            program.append((answer, 0, 0, REFUSE))
        else:
            program.append((equal, 0, 1, numbers[column]))
            program.append((answer, 0, 0, ALLOW))
    program.append((answer, 0, 0, REFUSE))
    return program

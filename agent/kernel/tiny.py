# SPDX-License-Identifier: Apache-2.0
"""The smallest program, `return 0`, of any type: loaded from hand-made instructions and attached, to find out
whether the kernel lets it. Everything is file descriptors: closing them leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel.btf import KIND_FUNC, KIND_TYPEDEF, Btf
from agent.kernel.libbpf import libbpf
from agent.kernel.mounts import read_kernel_file, read_mounts

RETURN_0 = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
"""`r0 = 0; exit` (Linux Documentation/bpf/standardization/instruction-set.rst)."""
_CALL, _EXIT = 0x85, 0x95
_LOG_BYTES = 1 << 14
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_SET_BPF = 0x40042408
"""PERF_EVENT_IOC_SET_BPF, linux/perf_event.h."""
_PERF_TYPE_TRACEPOINT = 2


class ProgramType(NamedTuple):
    """How a kind of program is loaded and found: numbers of linux/bpf.h, append-only."""

    type: int
    """enum bpf_prog_type."""
    attach: int = 0
    """enum bpf_attach_type, where the type alone does not say it."""
    prefix: str | None = None
    """The target's name in the kernel's BTF is this and the hook's name; None: it has no BTF target."""


TYPES = {
    "kprobe": ProgramType(2),
    "kprobe.multi": ProgramType(2, 42),
    "tracepoint": ProgramType(5),
    "raw_tp": ProgramType(17),
    "tp_btf": ProgramType(26, 23, "btf_trace_"),
    "fentry": ProgramType(26, 24, ""),
    "fexit": ProgramType(26, 25, ""),
    "fmod_ret": ProgramType(26, 26, ""),
    "iter": ProgramType(26, 28, "bpf_iter_"),
    "lsm": ProgramType(29, 27, "bpf_lsm_"),
}


class LoadOptions(ctypes.Structure):
    """struct bpf_prog_load_opts of libbpf's bpf.h, which goes by its size."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_uint32),
        ("prog_btf_fd", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_ifindex", ctypes.c_uint32),
        ("kern_version", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("attach_prog_fd", ctypes.c_uint32),
        ("attach_btf_obj_fd", ctypes.c_uint32),
        ("fd_array", ctypes.c_void_p),
        ("func_info", ctypes.c_void_p),
        ("func_info_cnt", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("line_info", ctypes.c_void_p),
        ("line_info_cnt", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_char_p),
    )


class _LinkOptions(ctypes.Structure):
    """struct bpf_link_create_opts of libbpf's bpf.h, its kprobe_multi form."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("flags", ctypes.c_uint32),
        ("iter_info", ctypes.c_void_p),
        ("iter_info_len", ctypes.c_uint32),
        ("target_btf_id", ctypes.c_uint32),
        ("multi_flags", ctypes.c_uint32),
        ("multi_count", ctypes.c_uint32),
        ("multi_names", ctypes.POINTER(ctypes.c_char_p)),
        ("multi_addresses", ctypes.c_void_p),
        ("multi_cookies", ctypes.c_void_p),
    )


def load(kind: str, hook: str, btf: Btf, code: bytes = RETURN_0, name: str = "th_probe") -> int:
    """Loads a program of a kind of TYPES for a hook; returns its file descriptor. Raises KernelUnsupported
    where the hook does not exist and KernelRefused, with the verifier's log, where the kernel refuses it."""
    form = TYPES[kind]
    options = LoadOptions(sz=ctypes.sizeof(LoadOptions), attempts=5, expected_attach_type=form.attach)
    if form.prefix is not None:
        target = form.prefix + hook
        options.attach_btf_id = btf.find(target, KIND_TYPEDEF if kind == "tp_btf" else KIND_FUNC)
        if not options.attach_btf_id:
            raise KernelUnsupported(f"this kernel's BTF has no {target}")
    log = ctypes.create_string_buffer(_LOG_BYTES)
    options.log_level, options.log_size = 1, _LOG_BYTES
    options.log_buf = ctypes.cast(log, ctypes.c_char_p)
    fd = libbpf().bpf_prog_load(form.type, name.encode(), b"GPL", code, len(code) // 8, ctypes.byref(options))
    if fd < 0:
        text = log.value.decode(errors="replace")
        raise libbpf().refused(f"{kind} program refused", -fd, log=text)
    return int(fd)


def load_code(form: ProgramType, target: tuple[int, int], code: bytes, name: str) -> int:
    """Loads instructions as a program of this type; `target`: number in BTF and the descriptor of a
    module's BTF. Raises KernelRefused with the verifier's log."""
    log = ctypes.create_string_buffer(_LOG_BYTES)
    options = LoadOptions(
        sz=ctypes.sizeof(LoadOptions),
        attempts=5,
        expected_attach_type=form.attach,
        attach_btf_id=target[0],
        attach_btf_obj_fd=target[1],
        log_level=1,
        log_size=_LOG_BYTES,
        log_buf=ctypes.cast(log, ctypes.c_char_p),
    )
    fd = libbpf().bpf_prog_load(form.type, name.encode(), b"GPL", code, len(code) // 8, ctypes.byref(options))
    if fd < 0:
        raise libbpf().refused(f"program {name} refused", -fd, log=log.value.decode(errors="replace") or " ")
    return int(fd)


@cache
def takes_fetching_atomics() -> bool:
    """Whether this kernel has atomic instructions that return a value: Linux kernel commit 5ca419f2864a
    "bpf: Add BPF_FETCH field / create atomic_fetch_add instruction" (in v5.12)."""
    one_on_stack = struct.pack("=BBhi", 0x7A, 10, -8, 1) + struct.pack("=BBhi", 0xB7, 1, 0, 1)
    fetch_add = struct.pack("=BBhi", 0xDB, 10 | 1 << 4, -8, 1)
    try:
        os.close(load_code(TYPES["raw_tp"], (0, 0), one_on_stack + fetch_add + RETURN_0, "th_probe"))
    except KernelRefused:
        return False
    return True


def attach(kind: str, hook: str, program: int) -> int:
    """Attaches a loaded program; returns the file descriptor that holds it. Raises as `load`."""
    if kind in ("kprobe", "tracepoint"):
        return _attach_perf(kind, hook, program)
    if kind == "kprobe.multi":
        names = (ctypes.c_char_p * 1)(hook.encode())
        options = _LinkOptions(sz=ctypes.sizeof(_LinkOptions), multi_count=1, multi_names=names)
        fd = libbpf().bpf_link_create(program, 0, TYPES[kind].attach, ctypes.byref(options))
    elif kind == "iter":
        fd = libbpf().bpf_link_create(program, 0, TYPES[kind].attach, None)
    else:
        fd = libbpf().bpf_raw_tracepoint_open(hook.encode() if kind == "raw_tp" else None, program)
    if fd < 0:
        raise libbpf().refused(f"{kind} on {hook} refused", -fd, log=" ")
    return int(fd)


@contextlib.contextmanager
def attached(kind: str, hook: str, btf: Btf) -> Iterator[None]:
    """A program that does nothing, attached as long as the context lasts."""
    program = load(kind, hook, btf)
    try:
        link = attach(kind, hook, program)
        try:
            yield
        finally:
            os.close(link)
    finally:
        os.close(program)


def knows_helper(kind: str, hook: str, btf: Btf, helper: int) -> bool:
    """Whether programs of this kind may call a helper (enum bpf_func_id, append-only). The call has no valid
    arguments: a helper that exists is refused for those, one that does not for its number."""
    code = struct.pack("=BBhi", _CALL, 0, 0, helper) + struct.pack("=BBhi", _EXIT, 0, 0, 0)
    try:
        os.close(load(kind, hook, btf, code))
    except KernelRefused as error:
        unknown = (
            "unknown func",
            "invalid func",
            "cannot use helper",
        )  # kernel/bpf/verifier.c, check_helper_call
        return bool(error.log_tail) and not any(words in error.log_tail for words in unknown)
    except KernelUnsupported:
        return False
    return True


def _attach_perf(kind: str, hook: str, program: int) -> int:
    """kprobe and tracepoint by perf_event_open(2), as on kernels that have no link for them."""
    number = _PERF_EVENT_OPEN.get(os.uname().machine)
    if number is None:
        raise KernelUnsupported(f"perf_event_open is not known for {os.uname().machine}")
    name = ctypes.create_string_buffer(hook.encode())
    if kind == "kprobe":
        type_id, config, function = _kprobe_type(), 0, ctypes.addressof(name)
    else:
        type_id, config, function = _PERF_TYPE_TRACEPOINT, _tracepoint_id(hook), 0
    # struct perf_event_attr: type, size, config, period, sample_type, read_format, flags, wakeup, bp_type,
    # config1 (kprobe_func), config2 (probe_offset)
    attributes = struct.pack("=IIQQQQQIIQQ", type_id, 72, config, 1, 0, 0, 0, 1, 0, function, 0)
    call = ctypes.CDLL(None, use_errno=True).syscall
    fd = call(number, attributes, -1, 0, -1, 8)  # all processes, CPU 0, PERF_FLAG_FD_CLOEXEC
    if fd < 0:
        raise libbpf().refused(f"{kind} on {hook} refused", ctypes.get_errno(), log=" ")
    try:
        fcntl.ioctl(fd, _SET_BPF, program)
    except OSError as error:
        os.close(fd)
        raise libbpf().refused(f"{kind} on {hook} refused", error.errno or 0, log=" ") from error
    return int(fd)


def _kprobe_type() -> int:
    try:
        return int(Path("/sys/bus/event_source/devices/kprobe/type").read_text())
    except OSError as error:
        raise KernelUnsupported("this kernel is built without kprobes (CONFIG_KPROBES)") from error


def _tracepoint_id(hook: str) -> int:
    text = read_kernel_file("tracefs", f"events/{hook.replace(':', '/')}/id", read_mounts())
    if text is None:
        raise KernelUnsupported(f"no tracepoint {hook} in tracefs")
    return int(text)

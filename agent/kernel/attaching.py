# SPDX-License-Identifier: Apache-2.0
"""Hangs a loaded program on a hook, by a link where the kernel has one (those can be pinned)."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import HookRefused, KernelRefused, KernelUnsupported
from agent.kernel.libbpf import libbpf
from agent.kernel.mounts import read_kernel_file, read_mounts
from agent.kernel.refusals import reason

_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_SET_BPF = 0x40042408
"""PERF_EVENT_IOC_SET_BPF, linux/perf_event.h."""
_BPF_PERF_EVENT = 41
"""enum bpf_attach_type; links of perf events exist since Linux kernel commit b89fbfbb854c "bpf: Implement
minimal BPF perf link" (in v5.15)."""
_PERF_TYPE_TRACEPOINT = 2
_PERF_DEVICE = Path("/sys/bus/event_source/devices/kprobe")
_OF_THE_PLACE = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.EADDRNOTAVAIL, errno.EILSEQ)
"""What register_kprobe and bpf_trampoline_link_prog say of places that take none (Linux kernel/kprobes.c,
kernel/bpf/trampoline.c); other errors are about room, rights or who else is there."""
_WAY_OUT = {
    errno.E2BIG: "stop another agent that hangs there, or attach by another way (kprobe instead of fentry)",
    errno.EBUSY: "something else changes this function now, such as a live patch; try again later",
    errno.ENOENT: "`tracehound doctor` shows what this kernel offers",
}


@dataclass(slots=True)
class Attachment:
    """A program on its hook, as long as its descriptors are open or pinned."""

    link: int
    """Link, or the perf event itself on kernels that have no links for them."""
    others: list[int] = field(default_factory=list)
    can_pin: bool = True

    def close(self) -> None:
        """Detaches, unless the link is pinned."""
        for fd in (self.link, *self.others):
            os.close(fd)
        self.others = []


def attach(kind: str, target: str, program: int) -> Attachment:
    """`kind` is HookKey.attach; `target` a symbol, `subsystem/event` or the name of a raw tracepoint. Raises
    KernelRefused with the way out, KernelUnsupported where the hook does not exist."""
    if kind in ("kprobe", "kretprobe", "tracepoint"):
        return _attach_perf(kind, target, program)
    name = target.encode() if kind == "raw_tp" else None
    fd = libbpf().bpf_raw_tracepoint_open(name, program)
    if fd < 0:
        raise _refused(kind, target, -fd)
    return Attachment(fd)


def _attach_perf(kind: str, target: str, program: int) -> Attachment:
    event = _open_event(kind, target)
    link = libbpf().bpf_link_create(program, event, _BPF_PERF_EVENT, None)
    if link >= 0:
        return Attachment(link, [event])
    try:
        fcntl.ioctl(event, _SET_BPF, program)
    except OSError as error:
        os.close(event)
        raise _refused(kind, target, error.errno or 0) from error
    return Attachment(event, can_pin=False)


def _open_event(kind: str, target: str) -> int:
    """perf_event_open(2) for all processes; programs of the event run on every CPU."""
    number = _PERF_EVENT_OPEN.get(os.uname().machine)
    if number is None:
        raise KernelUnsupported(f"perf_event_open is not known for {os.uname().machine}")
    name = ctypes.create_string_buffer(target.encode())
    if kind == "tracepoint":
        type_id, config, function = _PERF_TYPE_TRACEPOINT, _tracepoint(target), 0
    else:
        type_id, config, function = _probe_type(), int(kind == "kretprobe"), ctypes.addressof(name)
    # struct perf_event_attr: type, size, config (kprobes: bit 0 is at return, the device's
    # format/retprobe), period, sample_type, read_format, flags, wakeup, bp_type, config1 (kprobe_func),
    # config2 (probe_offset)
    attributes = struct.pack("=IIQQQQQIIQQ", type_id, 72, config, 1, 0, 0, 0, 1, 0, function, 0)
    call = ctypes.CDLL(None, use_errno=True).syscall
    fd = call(number, attributes, -1, 0, -1, 8)  # CPU 0, PERF_FLAG_FD_CLOEXEC
    if fd < 0:
        raise _refused(kind, target, ctypes.get_errno())
    return int(fd)


def _probe_type() -> int:
    with contextlib.suppress(OSError):
        return int((_PERF_DEVICE / "type").read_text())
    raise KernelUnsupported("this kernel is built without kprobes (CONFIG_KPROBES)")


def _tracepoint(target: str) -> int:
    text = read_kernel_file("tracefs", f"events/{target}/id", read_mounts())
    if text is None:
        raise KernelUnsupported(f"no tracepoint {target} in tracefs")
    return int(text)


def _refused(kind: str, target: str, number: int) -> KernelRefused:
    form = HookRefused if number in _OF_THE_PLACE else KernelRefused
    error = form(f"{kind} on {target}: {os.strerror(number)}", number, hint=_WAY_OUT.get(number, ""))
    error.message = f"{kind} cannot be attached to {target}: {reason(error, kind)}"
    error.args = (error.message,)
    return error

# SPDX-License-Identifier: Apache-2.0
"""What tests of the kernel side share: real children with fewer rights, a bpffs, other agents' programs."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agent.errors import KernelRefused, TracehoundError
from agent.kernel import tiny
from agent.kernel.btf import Btf
from agent.kernel.host import CAPABILITIES, effective_capabilities
from agent.kernel.libbpf import libbpf
from agent.kernel.mapfill import HASH
from agent.kernel.objects import BpfObject

NOBODY = 65534


def in_child(prepare: Callable[[], object], action: Callable[[], Any]) -> Any:
    """What `action` returns (JSON) in a forked child that called `prepare` first. A TracehoundError becomes
    `{"error": class name, "message", "hint"}`."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            prepare()
            answer = action()
        except TracehoundError as error:
            answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        except BaseException:
            answer = {"crash": traceback.format_exc()}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(text)
    assert not (isinstance(answer, dict) and "crash" in answer), answer["crash"]
    return answer


def become_nobody() -> None:
    """Gives up root for good."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def keep_capabilities(*names: str) -> None:
    """Gives up all other capabilities of this process by capset(2), which has the same number of arguments on
    every architecture; root stays uid 0."""
    kept = effective_capabilities() & set(names)
    bits = sum(1 << CAPABILITIES.index(name) for name in kept)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    head = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    if ctypes.CDLL(None, use_errno=True).capset(head, data):
        raise OSError(ctypes.get_errno(), "capset")


def run_without_btf(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a mount namespace of its own, where the kernel's BTF is an empty file."""
    empty = tmp_path / "empty"
    empty.touch()
    script = f'mount --bind "{empty}" /sys/kernel/btf/vmlinux && exec "$0" "$@"'
    argv = ["unshare", "-m", "sh", "-c", script, sys.executable, "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])


@contextlib.contextmanager
def mounted_bpffs(directory: Path) -> Iterator[Path]:
    """A bpffs of our own, gone afterwards with all that is pinned there."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@contextlib.contextmanager
def full_trampoline(function: str, most: int = 64) -> Iterator[int]:
    """Programs of another agent on a function, until the kernel takes no more; how many there are."""
    held: list[int] = []
    with Btf.of_kernel() as btf:
        try:
            while len(held) < 2 * most:
                program = tiny.load("fentry", function, btf, name="somebody_else")
                held += [program, tiny.attach("fentry", function, program)]
        except KernelRefused:
            pass
        try:
            yield len(held) // 2
        finally:
            for fd in held:
                os.close(fd)


def all_ids(kind: str) -> set[int]:
    """Numbers of all programs or links in the kernel: `prog` or `link`."""
    ask = getattr(libbpf(), f"bpf_{kind}_get_next_id")
    number, found = ctypes.c_uint32(0), set()
    while not ask(number.value, ctypes.byref(number)):
        found.add(number.value)
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it became true in time; the kernel frees programs a moment after the last reference."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def preallocate(opened: BpfObject) -> None:
    """Before load: old kernels let raw tracepoints and kprobes have no other maps without a warning."""
    for name in opened.maps():
        if opened.map_shape(name)["map_type"] == HASH:
            opened.set_map_flags(name, 0)

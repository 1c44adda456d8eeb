# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Joins BPF object files into one with libbpf's static linker: link.py OUTPUT INPUT...

The linker (`bpf_linker__*` in libbpf.h) also strips what the compiler left for debuggers. Used at build time
only; no dependency beyond libbpf.so.1.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def link(output: str, inputs: list[str]) -> None:
    """Writes `output`, whole or not at all. Raises OSError with the file that was refused."""
    libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    libbpf.bpf_linker__new.restype = ctypes.c_void_p
    libbpf.bpf_linker__new.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    libbpf.bpf_linker__add_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    libbpf.bpf_linker__finalize.argtypes = [ctypes.c_void_p]
    partial = f"{output}.partial"
    linker = libbpf.bpf_linker__new(partial.encode(), None)
    if not linker:
        raise OSError(ctypes.get_errno(), "the linker does not start", partial)
    for name in inputs:
        if libbpf.bpf_linker__add_file(linker, name.encode(), None):
            raise OSError(ctypes.get_errno(), "the linker refuses this file", name)
    if libbpf.bpf_linker__finalize(linker):
        raise OSError(ctypes.get_errno(), "the linker cannot finish", partial)
    Path(partial).replace(output)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: link.py OUTPUT INPUT...")
    link(sys.argv[1], sys.argv[2:])

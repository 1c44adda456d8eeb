# SPDX-License-Identifier: Apache-2.0
"""Typed binding to the system's libbpf.so.1 (libbpf.h, baseline 1.1).

Thin on purpose: names are libbpf's, each function has its C signature in one table, errors become
`KernelRefused` with errno and what libbpf and the verifier printed last.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from agent.errors import KernelRefused, KernelUnsupported

_P = ctypes.c_void_p
_S = ctypes.c_char_p
_I = ctypes.c_int
_U32 = ctypes.c_uint32
_U64 = ctypes.c_uint64
_SIZE = ctypes.c_size_t

SampleCallback = ctypes.CFUNCTYPE(_I, _P, _P, _SIZE)
"""int (*ring_buffer_sample_fn)(void *ctx, void *data, size_t size)"""

_HELD = ("ring_buffer__consume",)
"""Short calls that call us back for each record: they keep the interpreter's lock, which would else be given
up and waited for with every record while another thread computes (ctypes.PyDLL)."""

_PrintCallback = ctypes.CFUNCTYPE(_I, _I, _S, _P)

_MESSAGE_BYTES = 1 << 24
"""Longest message kept: a refused program's message holds its whole verifier log."""

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    # name: (result, arguments...)
    "bpf_object__open_file": (_P, _S, _P),
    "bpf_object__load": (_I, _P),
    "bpf_object__close": (None, _P),
    "bpf_object__btf": (_P, _P),
    "bpf_object__find_map_by_name": (_P, _P, _S),
    "bpf_object__find_program_by_name": (_P, _P, _S),
    "bpf_object__next_program": (_P, _P, _P),
    "bpf_object__next_map": (_P, _P, _P),
    "bpf_map__name": (_S, _P),
    "bpf_map__fd": (_I, _P),
    "bpf_map__set_max_entries": (_I, _P, _U32),
    "bpf_map__set_map_flags": (_I, _P, _U32),
    "bpf_map__map_flags": (_U32, _P),
    "bpf_map__set_initial_value": (_I, _P, _P, _SIZE),
    "bpf_map__initial_value": (_P, _P, ctypes.POINTER(_SIZE)),
    "bpf_map__value_size": (_U32, _P),
    "bpf_map__key_size": (_U32, _P),
    "bpf_map__max_entries": (_U32, _P),
    "bpf_map__type": (_I, _P),
    "bpf_map__reuse_fd": (_I, _P, _I),
    "bpf_map__pin": (_I, _P, _S),
    "bpf_map__set_autocreate": (_I, _P, ctypes.c_bool),
    "bpf_program__name": (_S, _P),
    "bpf_program__fd": (_I, _P),
    "bpf_program__set_autoload": (_I, _P, ctypes.c_bool),
    "bpf_program__attach": (_P, _P),
    "bpf_program__attach_iter": (_P, _P, _P),
    "bpf_program__section_name": (_S, _P),
    "bpf_program__type": (_I, _P),
    "bpf_program__expected_attach_type": (_I, _P),
    "bpf_program__insns": (_P, _P),
    "bpf_program__insn_cnt": (_SIZE, _P),
    "libbpf_register_prog_handler": (_I, _S, _I, _I, _P),
    "libbpf_unregister_prog_handler": (_I, _I),
    "bpf_program__set_log_buf": (_I, _P, _P, _SIZE),
    "bpf_program__set_log_level": (_I, _P, _U32),
    "bpf_link__destroy": (_I, _P),
    "bpf_link__fd": (_I, _P),
    "bpf_iter_create": (_I, _I),
    "bpf_map_update_elem": (_I, _I, _P, _P, _U64),
    "bpf_map_lookup_elem": (_I, _I, _P, _P),
    "bpf_map_delete_elem": (_I, _I, _P),
    "bpf_map_get_next_key": (_I, _I, _P, _P),
    "bpf_map_create": (_I, _I, _S, _U32, _U32, _U32, _P),
    "bpf_map_freeze": (_I, _I),
    "bpf_obj_get": (_I, _S),
    "bpf_obj_pin": (_I, _I, _S),
    "bpf_obj_get_info_by_fd": (_I, _I, _P, ctypes.POINTER(_U32)),
    "bpf_link_get_next_id": (_I, _U32, ctypes.POINTER(_U32)),
    "bpf_link_get_fd_by_id": (_I, _U32),
    "bpf_prog_get_fd_by_id": (_I, _U32),
    "bpf_map_get_fd_by_id": (_I, _U32),
    "bpf_prog_get_next_id": (_I, _U32, ctypes.POINTER(_U32)),
    "bpf_enable_stats": (_I, _I),
    "bpf_prog_load": (_I, _I, _S, _S, _P, _SIZE, _P),
    "bpf_link_create": (_I, _I, _I, _I, _P),
    "bpf_raw_tracepoint_open": (_I, _S, _I),
    "bpf_task_fd_query": (_I, _I, _I, _U32, _P, _P, _P, _P, _P, _P),
    "bpf_link__disconnect": (None, _P),
    "libbpf_num_possible_cpus": (_I,),
    "libbpf_probe_bpf_prog_type": (_I, _I, _P),
    "libbpf_probe_bpf_map_type": (_I, _I, _P),
    "libbpf_probe_bpf_helper": (_I, _I, _I, _P),
    "ring_buffer__new": (_P, _I, SampleCallback, _P, _P),
    "ring_buffer__consume": (_I, _P),
    "ring_buffer__poll": (_I, _P, _I),
    "ring_buffer__epoll_fd": (_I, _P),
    "ring_buffer__free": (None, _P),
    "btf__load_vmlinux_btf": (_P,),
    "btf__parse_split": (_P, _S, _P),
    "btf__load_from_kernel_by_id_split": (_P, _U32, _P),
    "bpf_btf_get_next_id": (_I, _U32, ctypes.POINTER(_U32)),
    "bpf_btf_get_fd_by_id": (_I, _U32),
    "btf__free": (None, _P),
    "btf__type_cnt": (_U32, _P),
    "btf__type_by_id": (_P, _P, _U32),
    "btf__name_by_offset": (_S, _P, _U32),
    "btf__find_by_name_kind": (ctypes.c_int32, _P, _S, _U32),
    "libbpf_set_print": (_P, _P),
}


class Libbpf:
    """The loaded library: every function of the table as an attribute, and what it printed last."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libbpf.so.1", use_errno=True)
        except OSError as error:
            raise KernelUnsupported(
                f"libbpf.so.1 cannot be loaded: {error}", "install the package libbpf1 (Debian, Ubuntu)"
            ) from error
        held = ctypes.PyDLL("libbpf.so.1")
        for name, (result, *arguments) in _SIGNATURES.items():
            function = getattr(held if name in _HELD else self._library, name)
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)
        self.messages: deque[str] = deque(maxlen=200)
        self._libc = ctypes.CDLL(None)
        self._print = _PrintCallback(self._keep)
        self._library.libbpf_set_print(ctypes.cast(self._print, _P))

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Without libbpf's messages, of which it makes tens of thousands for one object, each a call."""
        self._library.libbpf_set_print(None)
        try:
            yield
        finally:
            self._library.libbpf_set_print(ctypes.cast(self._print, _P))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"libbpf function {name} is not in the binding's table")

    def _keep(self, level: int, form: bytes, arguments: int) -> int:
        if level > 1:  # 0 warning, 1 info, 2 debug
            return 0
        text = ctypes.create_string_buffer(_MESSAGE_BYTES)
        self._libc.vsnprintf(text, _SIZE(len(text)), form, _P(arguments))
        self.messages.extend(text.value.decode(errors="replace").splitlines())
        return 0

    def refused(self, what: str, errno: int, hint: str = "", log: str = "") -> KernelRefused:
        """The error for a refused call: errno in words, and the last lines of the verifier or of libbpf."""
        lines = [line for line in (log.splitlines() or self.messages) if line.strip()]
        tail = "\n".join(lines[-12:])
        message = f"{what}: {os.strerror(errno)} ({errno})"
        return KernelRefused(message + (f"\n{tail}" if tail else ""), errno, tail, hint)


@cache
def libbpf() -> Libbpf:
    """The one binding of this process (the library keeps global state, such as its print function)."""
    return Libbpf()


def check(result: int, what: str, hint: str = "") -> int:
    """Passes a non-negative result on; a negative one (libbpf: -errno) becomes KernelRefused."""
    if result < 0:
        raise libbpf().refused(what, -result if result != -1 else ctypes.get_errno(), hint)
    return result

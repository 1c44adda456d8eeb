# SPDX-License-Identifier: Apache-2.0
"""Formats of tracepoints."""

from __future__ import annotations

import pytest

from agent.kernel.formats import parse_format
from agent.kernel.mounts import read_kernel_file, read_mounts

TEXT = """name: made_up
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;
\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:1;
\tfield:const char * name;\toffset:32;\tsize:8;\tsigned:0;
\tfield:pid_t pid;\toffset:40;\tsize:4;\tsigned:1;

print fmt: "%s", __get_str(filename)
"""


def test_fields_come_in_order_with_name_type_and_place() -> None:
    fields = parse_format(TEXT)
    assert [field.name for field in fields] == ["common_type", "filename", "comm", "name", "pid"]
    assert fields[4] == ("pid", "pid_t", 40, 4, True, False)


def test_strings_arrays_and_pointers_are_told_apart() -> None:
    _common, filename, comm, name, pid = parse_format(TEXT)
    assert (filename.is_data_loc, filename.is_pointer) == (True, False)
    assert (comm.is_array, comm.type, comm.size) == (True, "char", 16)
    assert (name.is_pointer, pid.is_pointer) == (True, False)


@pytest.mark.kernel
def test_this_kernels_system_calls_are_read() -> None:
    text = read_kernel_file("tracefs", "events/raw_syscalls/sys_enter/format", read_mounts())
    assert text is not None
    assert [(field.name, field.is_array) for field in parse_format(text)[4:]] == [
        ("id", False),
        ("args", True),
    ]

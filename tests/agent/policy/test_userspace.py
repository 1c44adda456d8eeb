# SPDX-License-Identifier: Apache-2.0
"""Which pointers lead to user memory."""

from __future__ import annotations

from agent.kernel.shapes import CType
from agent.policy.userspace import is_user_pointer

TEXT = CType("pointer", "char", "char *", 8, depth=1)
FILE = CType("pointer", "file", "struct file *", 8, depth=1)


def test_known_functions_take_pointers_into_user_memory() -> None:
    assert is_user_pointer("vfs_write", 1, "buf", TEXT)
    assert not is_user_pointer("vfs_write", 0, "file", FILE)


def test_a_parameters_name_tells_it() -> None:
    assert is_user_pointer("some_function", 0, "ubuf", TEXT)
    assert not is_user_pointer("some_function", 0, "name", TEXT)


def test_kernel_objects_are_never_in_user_memory() -> None:
    assert not is_user_pointer("some_function", 0, "user_file", FILE)

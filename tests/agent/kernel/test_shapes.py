# SPDX-License-Identifier: Apache-2.0
"""C types and prototypes of this kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.kernel.btf import KIND_FUNC, KIND_STRUCT, KIND_TYPEDEF, Btf
from agent.kernel.shapes import begins_with, declared, describe, describe_function

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    with Btf.of_kernel() as found:
        yield found


def test_a_function_has_its_parameters_and_result(btf: Btf) -> None:
    found = describe_function(btf, btf.inner(btf.find("security_file_permission", KIND_FUNC)))
    assert [(given.name, given.type.text) for given in found.parameters] == [
        ("file", "struct file *"),
        ("mask", "int"),
    ]
    assert (found.result.form, found.result.size, found.result.is_signed) == ("integer", 4, True)


def test_qualifiers_and_typedefs_are_looked_through(btf: Btf) -> None:
    assert describe(btf, btf.find("umode_t", KIND_TYPEDEF))[:2] == ("integer", "short unsigned int")


def test_a_struct_without_a_tag_has_its_typedefs_name(btf: Btf) -> None:
    found = describe(btf, btf.find("kuid_t", KIND_TYPEDEF))
    assert (found.form, found.tag, found.size) == ("struct", "kuid_t", 4)


def test_arrays_have_elements(btf: Btf) -> None:
    comm = next(member for member in btf.members("task_struct") if member.name == "comm")
    found = describe(btf, comm.type_id)
    assert (found.form, found.tag, found.elements, found.size) == ("array", "char", 16, 16)


def test_a_struct_begins_with_its_first_member(btf: Btf) -> None:
    tcp = btf.find("tcp_sock", KIND_STRUCT)
    assert begins_with(btf, tcp, "sock")
    assert not begins_with(btf, tcp, "file")


def test_types_of_system_calls_are_read_from_their_text(btf: Btf) -> None:
    assert declared(btf, "const char *")[:3] == ("pointer", "char", "char *")
    assert declared(btf, "struct sockaddr *").target == btf.find("sockaddr", KIND_STRUCT)
    assert declared(btf, "unsigned int")[3:5] == (4, False)
    assert declared(btf, "umode_t")[3:5] == (2, False)
    assert declared(btf, "const char *const *").depth == 2

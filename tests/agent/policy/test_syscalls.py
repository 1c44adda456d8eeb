# SPDX-License-Identifier: Apache-2.0
"""Numbers of system calls, compared with the headers of this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.policy.report import Wrong
from agent.policy.syscalls import (
    ENTRIES,
    compat,
    entry,
    native,
    number,
    parse_system_call,
    suggest,
    table,
)

HEADERS = {"x86_64": "unistd_64.h", "i386": "unistd_32.h"}


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_numbers_are_those_of_the_headers(name: str) -> None:
    found = sorted(Path("/usr/include").glob(f"*/asm/{HEADERS[name]}"))
    if not found or "x86" not in str(found[0]):
        pytest.skip("the kernel's headers for x86 are not installed")
    defined = re.findall(r"#define __NR_(\w+) (\d+)", found[0].read_text())
    assert defined
    assert {n: table(name).get(n) for n, _ in defined} == {n: int(number) for n, number in defined}


def test_arm64_has_the_generic_numbers() -> None:
    generic = Path("/usr/include/asm-generic/unistd.h")
    if not generic.is_file():
        pytest.skip("the kernel's headers are not installed")
    text = generic.read_text()
    plain = dict(re.findall(r"#define __NR_(\w+) (\d+)\n__S(?:YSCALL|C_COMP)\(", text))
    assert len(plain) > 200
    differing = {n for n, of in table("aarch64").items() if n in plain and int(plain[n]) != of}
    assert differing == set()


def test_new_calls_have_one_number_everywhere() -> None:
    for name in ("clone3", "openat2", "mseal", "file_setattr"):
        assert len({table(of)[name] for of in ("x86_64", "i386", "aarch64")}) == 1


def test_entry_points_have_the_number_of_the_call_that_enters_there() -> None:
    assert number("sys_newfstat", "x86_64") == number("fstat", "x86_64") == 5
    assert entry("sys_fstat", "x86_64") == "sys_newfstat"
    assert entry("openat", "aarch64") == "sys_openat"
    assert all(known in table(of) for of, names in ENTRIES.items() for known in names.values())


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("sys_dup", ("sys_dup", "")),
        ("i386/sys_dup", ("sys_dup", "32")),
        ("x64/sys_dup", ("sys_dup", "64")),
        ("__x64_sys_dup", ("sys_dup", "64")),
        ("__ia32_compat_sys_dup", ("sys_dup", "32")),
    ],
)
def test_calls_may_name_their_abi(text: str, call: tuple[str, str]) -> None:
    assert parse_system_call(text) == call


def test_what_is_no_system_call_gets_advice() -> None:
    with pytest.raises(Wrong) as caught:
        parse_system_call("dup")
    assert caught.value.hint == "write sys_dup"
    with pytest.raises(Wrong) as caught:
        parse_system_call("security_file_open")
    assert "syscall: false" in caught.value.hint
    with pytest.raises(Wrong, match="is no ABI"):
        parse_system_call("mips/sys_dup")
    assert suggest("sys_opnat") == 'did you mean "sys_openat"?'


def test_machines_have_their_tables() -> None:
    assert (native("x86_64"), compat("x86_64")) == ("x86_64", "i386")
    assert (native("aarch64"), compat("aarch64")) == ("aarch64", "")
